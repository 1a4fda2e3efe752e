"""Count the verdicts on readable keys, and compute shares with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keylike.readers.contract import Unreadable
from keylike.readers.evaluation.statistics import clustered, wilson
from keylike.readers.evaluation.verdict import Verdict

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Score:
    """The counts of a group of photos. Refusals count as wrong.

    Attributes:
        photos: Number of photos.
        whole: Number of correct whole codes.
        three: Number of photos with the correct code among the first three candidates.
        keyway: Number of correct keyways.
        refused: Number of refusals.
        cuts: For each photo, the number of correct cuts and of all cuts.
    """

    photos: int
    whole: int
    three: int
    keyway: int
    refused: int
    cuts: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, verdicts: Sequence[Verdict]) -> Score:
        """Count the verdicts."""
        return cls(
            photos=len(verdicts),
            whole=sum(verdict.whole for verdict in verdicts),
            three=sum(verdict.in_top_three for verdict in verdicts),
            keyway=sum(verdict.right_keyway for verdict in verdicts),
            refused=sum(isinstance(verdict.result, Unreadable) for verdict in verdicts),
            cuts=tuple((verdict.right_cuts, len(verdict.shot.codes or ())) for verdict in verdicts),
        )

    def share(self, count: int) -> float:
        """Return `count` as a share of all photos, 0 to 1."""
        return count / max(1, self.photos)

    @property
    def cut(self) -> float:
        """Return the share of correct cuts. A wrong keyway does not matter."""
        return sum(right for right, _ in self.cuts) / max(1, sum(count for _, count in self.cuts))

    @property
    def whole_95(self) -> Interval:
        """Return the 95 % confidence interval of the share of correct whole codes."""
        return wilson(self.whole, self.photos)

    @property
    def keyway_95(self) -> Interval:
        """Return the 95 % confidence interval of the share of correct keyways."""
        return wilson(self.keyway, self.photos)

    @property
    def cut_95(self) -> Interval:
        """Return the 95 % confidence interval of `cut`.

        It takes into account that cuts of one photo are not independent.
        """
        return clustered(self.cuts)

    def to_dict(self) -> dict[str, object]:
        """Return shares of all photos with their 95 % intervals."""
        whole, three, keyway, refused = (
            round(self.share(count), 5)
            for count in (self.whole, self.three, self.keyway, self.refused)
        )
        return {
            "photos": self.photos,
            "whole": whole,
            "whole_95": _rounded(self.whole_95),
            "top3": three,
            "cut": round(self.cut, 5),
            "cut_95": _rounded(self.cut_95),
            "keyway": keyway,
            "keyway_95": _rounded(self.keyway_95),
            "refused": refused,
        }


def _rounded(interval: Interval) -> list[float]:
    return [round(end, 4) for end in interval]
