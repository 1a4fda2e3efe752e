"""What a confidence is worth: how often readings of one confidence are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keylike.readers.evaluation.statistics import wilson

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """The readings whose confidence lies between `low` and `high`: how many, their mean confidence, how many are right."""

    low: float
    high: float
    readings: int
    confidence: float
    right: int

    @property
    def accuracy(self) -> float:
        """The share that is right."""
        return self.right / self.readings

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval."""
        return wilson(self.right, self.readings)


def reliability(sure: Sequence[tuple[float, bool]]) -> list[Bin]:
    """Ten equal bins of confidence, without the empty ones; `sure` holds confidence and whether the whole code was right."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for chance, right in sure:
        bins.setdefault(min(BINS - 1, int(chance * BINS)), []).append((chance, right))
    return [
        Bin(
            at / BINS,
            (at + 1) / BINS,
            len(rows),
            sum(chance for chance, _ in rows) / len(rows),
            sum(right for _, right in rows),
        )
        for at, rows in sorted(bins.items())
    ]


def calibration_error(sure: Sequence[tuple[float, bool]]) -> float | None:
    """Expected calibration error over those bins; None without readings."""
    if not sure:
        return None
    return round(
        sum(abs(each.confidence - each.accuracy) * each.readings for each in reliability(sure))
        / len(sure),
        4,
    )
