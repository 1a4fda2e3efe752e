"""What a check found: a state, what was seen, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How grave a finding is: a fault keeps Keylike from working as it is set, a warning may, a note is for information."""

    OK = "ok"
    NOTE = "note"
    WARN = "warn"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw, and advice where there is something to do. Neither ever holds a secret."""

    name: str
    state: State
    saw: str
    advice: str = ""


def shown(size: int) -> str:
    """A number of bytes for people, such as "5.7 MB"."""
    for unit, step in (("GB", 1e9), ("MB", 1e6)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size / 1e3:.1f} kB"
