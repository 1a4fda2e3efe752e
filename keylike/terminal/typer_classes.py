"""Typer's command classes, changed so that the help shows no type for switches."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup, TyperOption


def _without_types(params: list[Any]) -> list[Any]:
    """Return the parameters, changed so that the help does not show "<bool>" for switches."""
    for param in params:
        if isinstance(param, TyperOption) and param.is_bool_flag and param.metavar is None:
            param.metavar = ""
    return params


class Command(TyperCommand):
    """A command."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the arguments and options, --help included."""
        return _without_types(super().get_params(ctx))


class Group(TyperGroup):
    """A command with subcommands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the arguments and options, --help included."""
        return _without_types(super().get_params(ctx))
