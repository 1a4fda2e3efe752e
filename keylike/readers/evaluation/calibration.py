"""Calibration of confidence: how often readings with a given confidence are correct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keylike.readers.evaluation.statistics import wilson

# Number of bins of confidence.
BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """The readings whose confidence is between `low` and `high`.

    Attributes:
        low: Lower limit of the confidence.
        high: Upper limit of the confidence.
        readings: Number of readings.
        confidence: Mean confidence.
        right: Number of correct readings.
    """

    low: float
    high: float
    readings: int
    confidence: float
    right: int

    @property
    def accuracy(self) -> float:
        """Return the share of correct readings."""
        return self.right / self.readings

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95 % confidence interval of the accuracy."""
        return wilson(self.right, self.readings)


def reliability(pairs: Sequence[tuple[float, bool]]) -> list[Bin]:
    """Divide readings into ten bins of equal width by their confidence.

    `pairs` contains, for each reading, its confidence, and True if its whole code is correct. Empty
    bins are left out.
    """
    bins: dict[int, list[tuple[float, bool]]] = {}
    for confidence, right in pairs:
        bins.setdefault(min(BINS - 1, int(confidence * BINS)), []).append((confidence, right))
    return [
        Bin(
            index / BINS,
            (index + 1) / BINS,
            len(rows),
            sum(confidence for confidence, _ in rows) / len(rows),
            sum(right for _, right in rows),
        )
        for index, rows in sorted(bins.items())
    ]


def calibration_error(pairs: Sequence[tuple[float, bool]]) -> float | None:
    """Return the expected calibration error over ten bins, or None if there are no readings.

    It is the mean difference between confidence and accuracy, from 0 to 1.
    """
    if not pairs:
        return None
    return round(
        sum(abs(item.confidence - item.accuracy) * item.readings for item in reliability(pairs))
        / len(pairs),
        4,
    )
