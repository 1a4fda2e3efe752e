"""The result of a check: its severity, what was found, and advice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The severity of a finding.

    FAULT: Keylike cannot work as configured. WARN: it may not work as configured. NOTE: information
    only. OK: nothing to do.
    """

    OK = "ok"
    NOTE = "note"
    WARN = "warn"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. It contains no secrets.

    Attributes:
        name: name of the checked thing.
        state: severity.
        saw: what was found.
        advice: what to do, or an empty string.
    """

    name: str
    state: State
    saw: str
    advice: str = ""


def format_bytes(size: int) -> str:
    """Return a number of bytes as text, such as "5.7 MB"."""
    for unit, step in (("GB", 1e9), ("MB", 1e6)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size / 1e3:.1f} kB"
