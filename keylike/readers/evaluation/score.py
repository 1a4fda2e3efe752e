"""What some verdicts on readable keys add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keylike.readers.contract import Unreadable
from keylike.readers.evaluation.statistics import clustered, wilson
from keylike.readers.evaluation.verdict import Verdict

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of photos, refusals counted as wrong; `cuts` holds (right, all) of each photo."""

    photos: int
    whole: int
    three: int
    keyway: int
    refused: int
    cuts: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, verdicts: Sequence[Verdict]) -> Score:
        """Adds up."""
        return cls(
            photos=len(verdicts),
            whole=sum(verdict.whole for verdict in verdicts),
            three=sum(verdict.among_three for verdict in verdicts),
            keyway=sum(verdict.right_keyway for verdict in verdicts),
            refused=sum(isinstance(verdict.result, Unreadable) for verdict in verdicts),
            cuts=tuple((verdict.right_cuts, len(verdict.shot.codes or ())) for verdict in verdicts),
        )

    def share(self, count: int) -> float:
        """`count` of all photos, 0 to 1."""
        return count / max(1, self.photos)

    @property
    def cut(self) -> float:
        """The share of cuts that are right, whatever the keyway."""
        return sum(right for right, _ in self.cuts) / max(1, sum(each for _, each in self.cuts))

    @property
    def whole_95(self) -> Interval:
        """The 95 % interval of the share of whole codes."""
        return wilson(self.whole, self.photos)

    @property
    def keyway_95(self) -> Interval:
        """The 95 % interval of the share of right keyways."""
        return wilson(self.keyway, self.photos)

    @property
    def cut_95(self) -> Interval:
        """The 95 % interval of `cut`, wider than for independent cuts."""
        return clustered(self.cuts)

    def to_dict(self) -> dict[str, object]:
        """Shares of all photos with their 95 % intervals."""
        whole, three, keyway, refused = (
            round(self.share(count), 5)
            for count in (self.whole, self.three, self.keyway, self.refused)
        )
        return {
            "photos": self.photos, "whole": whole, "whole_95": _rounded(self.whole_95), "top3": three,
            "cut": round(self.cut, 5), "cut_95": _rounded(self.cut_95), "keyway": keyway, "keyway_95": _rounded(self.keyway_95),
            "refused": refused,
        }  # fmt: skip


def _rounded(interval: Interval) -> list[float]:
    return [round(end, 4) for end in interval]
