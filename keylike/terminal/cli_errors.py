"""Errors of commands: one line on stderr and exit status 2."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer
from rich.console import Console

from keylike.errors import KeylikeError, ModelError

USAGE = 2
_err = Console(stderr=True, soft_wrap=True, highlight=False)


def say(line: str) -> None:
    """Print a line to stderr, if that is possible."""
    with suppress(OSError):
        _err.print(f"keylike: {line}", markup=False)


def stop(line: str) -> typer.Exit:
    """Print why the command stops, and return the exception to raise."""
    say(line)
    return typer.Exit(USAGE)


@contextmanager
def exit_on_dataset_error() -> Iterator[None]:
    """Exit with one line for an error in a labelled folder, its photos or the reader."""
    try:
        yield
    except OSError as error:
        needed = "a labelled folder contains labels.jsonl and its photos, directly or in images/"
        raise stop(f"{error.filename}: {error.strerror}; {needed}") from None
    except (ValueError, ModelError) as error:
        raise stop(str(error)) from None
    except KeylikeError as error:
        raise stop(error.message) from None


def write(option: str, target: Path, writing: Callable[[], None]) -> None:
    """Write a file that an option names, or exit with one line."""
    try:
        writing()
    except (OSError, ValueError) as error:
        raise stop(f"{option}: cannot write {target}: {error}") from None
