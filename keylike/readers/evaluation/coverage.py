"""Coverage against accuracy: how right the codes are when only the surest are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from keylike.readers.evaluation.statistics import wilson


@dataclass(frozen=True, slots=True)
class Covered:
    """Giving only codes of at least this `confidence`: of `photos` of readable keys, `given` get one, and `right` of those are right."""

    photos: int
    given: int
    right: int
    confidence: float

    @property
    def coverage(self) -> float:
        """The share of photos that get a code."""
        return self.given / self.photos

    @property
    def accuracy(self) -> float:
        """The share of given codes that are right."""
        return self.right / self.given

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval."""
        return wilson(self.right, self.given)

    def to_dict(self) -> dict[str, object]:
        """Plain values, shares rounded."""
        low, high = self.interval
        return {
            "coverage": round(self.coverage, 4), "accuracy": round(self.accuracy, 4), "accuracy_95": [round(low, 4), round(high, 4)],
            "confidence": round(self.confidence, 4),
        }  # fmt: skip


def covered(sure: Sequence[tuple[float, bool]], photos: int) -> list[Covered]:
    """A point for each confidence that occurs, the highest first; `sure` as in `reliability`, refusals among `photos` alone."""
    points, given, right = [], 0, 0
    for confidence, rows in groupby(sorted(sure, key=lambda row: -row[0]), key=lambda row: row[0]):
        hits = [hit for _, hit in rows]
        given, right = given + len(hits), right + sum(hits)
        points.append(Covered(photos, given, right, confidence))
    return points


def surest(points: Sequence[Covered], share: float) -> Covered | None:
    """The first point that covers at least `share`, 0 to 1, of the photos; None where more than the rest was refused."""
    return next((point for point in points if point.given >= share * point.photos - 1e-9), None)
