"""The accuracy of the most confident readings, by the share of photos that they cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from keylike.readers.evaluation.statistics import wilson


@dataclass(frozen=True, slots=True)
class CoveragePoint:
    """The result if all codes with less than a certain confidence were refused.

    Attributes:
        photos: Number of photos of readable keys.
        given: Number of photos for which a code is given.
        right: Number of correct codes among them.
        confidence: Lowest confidence with which a code is given.
    """

    photos: int
    given: int
    right: int
    confidence: float

    @property
    def coverage(self) -> float:
        """Return the share of photos for which a code is given."""
        return self.given / self.photos

    @property
    def accuracy(self) -> float:
        """Return the share of given codes that are correct."""
        return self.right / self.given

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95 % confidence interval of the accuracy."""
        return wilson(self.right, self.given)

    def to_dict(self) -> dict[str, object]:
        """Return JSON-compatible values with rounded shares."""
        low, high = self.interval
        return {
            "coverage": round(self.coverage, 4),
            "accuracy": round(self.accuracy, 4),
            "accuracy_95": [round(low, 4), round(high, 4)],
            "confidence": round(self.confidence, 4),
        }


def coverage_curve(pairs: Sequence[tuple[float, bool]], photos: int) -> list[CoveragePoint]:
    """Return one point for each confidence that occurs, highest first.

    Args:
        pairs: For each reading, its confidence, and True if its whole code is correct.
        photos: Number of photos, including refused ones.
    """
    points, given, right = [], 0, 0
    for confidence, rows in groupby(sorted(pairs, key=lambda row: -row[0]), key=lambda row: row[0]):
        hits = [correct for _, correct in rows]
        given, right = given + len(hits), right + sum(hits)
        points.append(CoveragePoint(photos, given, right, confidence))
    return points


def point_at_coverage(points: Sequence[CoveragePoint], share: float) -> CoveragePoint | None:
    """Return the first point that covers at least `share` (0 to 1) of the photos, or None."""
    return next((point for point in points if point.given >= share * point.photos - 1e-9), None)
