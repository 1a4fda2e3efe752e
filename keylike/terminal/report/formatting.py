"""Format numbers and names for the page."""

from __future__ import annotations

NBSP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"


def percent(share: float, digits: int = 1) -> str:
    """Return a share as a percentage: 0.713 as "71.3 %"."""
    return f"{share * 100:.{digits}f}{NBSP}%"


def interval(ends: tuple[float, float]) -> str:
    """Return an interval of shares as percentages: (0.66, 0.761) as "66 to 76"."""
    return f"{ends[0] * 100:.0f}{NBSP}to{NBSP}{ends[1] * 100:.0f}"


def signed(value: float, digits: int = 3) -> str:
    """Return a number with its sign. The minus sign is as wide as the plus sign."""
    return f"{value:+.{digits}f}".replace("-", MINUS)


def plain(name: str) -> str:
    """Return a name with blanks: not_a_key as "not a key"."""
    return name.replace("_", " ")
