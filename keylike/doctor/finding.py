"""The result of a check: a state, what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The severity of a finding.

    A fault prevents Keylike from working as configured, a warning may do so, and a note only
    informs.
    """

    OK = "ok"
    NOTE = "note"
    WARN = "warn"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, with advice if there is something to do. Contains no secrets."""

    name: str
    state: State
    saw: str
    advice: str = ""


def format_bytes(size: int) -> str:
    """Format a number of bytes, such as "5.7 MB"."""
    for unit, step in (("GB", 1e9), ("MB", 1e6)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size / 1e3:.1f} kB"
