"""Compare depths cut by cut: confusion matrices, and errors of measured heights in millimetres.

Only readings with the correct keyway and number of cuts are compared, because the same depth number
means another height in another family.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

from keylike.keys.keyways import Keyway, UnknownKeyway, keyway
from keylike.readers.contract import Cut, Reading
from keylike.readers.evaluation.verdict import Verdict

# Largest difference in millimetres at which a height counts as equal to the height in the maker's
# table.
_NOMINAL_MM = 1e-4


@dataclass(frozen=True, slots=True)
class Confusion:
    """The confusion matrix of the depths of one keyway.

    Attributes:
        keyway: Name of the keyway.
        depths: Depth numbers, shallowest first.
        counts: Number of cuts by (true depth, read depth).
    """

    keyway: str
    depths: tuple[int, ...]
    counts: Mapping[tuple[int, int], int]

    @property
    def cuts(self) -> int:
        """Return the number of compared cuts."""
        return sum(self.counts.values())

    def of(self, true: int) -> int:
        """Return the number of cuts whose true depth is `true`."""
        return sum(count for (depth, _), count in self.counts.items() if depth == true)

    def mistakes(self) -> dict[str, int]:
        """Return the counts of wrong depths as "true>read", most frequent first."""
        wrong = Counter(
            {f"{true}>{read}": count for (true, read), count in self.counts.items() if true != read}
        )
        return dict(wrong.most_common())


@dataclass(frozen=True, slots=True)
class Spread:
    """The errors of the heights of some cuts, in millimetres: measured minus true height.

    Attributes:
        cuts: Number of cuts.
        signed: Mean of the signed errors.
        absolute: Mean of the absolute errors.
        median: Median of the absolute errors.
    """

    cuts: int
    signed: float
    absolute: float
    median: float


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of the heights of one keyway.

    Attributes:
        keyway: Name of the keyway.
        step_mm: Height difference of one depth step, in millimetres.
        all: Errors of all cuts.
        by_cut: Errors by position, from 1 at the bow.
    """

    keyway: str
    step_mm: float
    all: Spread
    by_cut: tuple[Spread, ...]


def confusions(verdicts: Sequence[Verdict]) -> list[Confusion]:
    """Return one confusion matrix per keyway that was read."""
    counts: dict[str, Counter[tuple[int, int]]] = {}
    for name, _, true, cut in _cuts(verdicts):
        counts.setdefault(name, Counter())[true, cut.depth] += 1
    return [Confusion(name, _depths(name, pairs), pairs) for name, pairs in counts.items()]


def errors(verdicts: Sequence[Verdict]) -> list[Errors]:
    """Return the errors of each keyway that was read and whose true heights are known."""
    differences: dict[str, dict[int, list[float]]] = {}
    for name, key_type, true, cut in _cuts(verdicts):
        if key_type is not None and true in key_type.depths_mm:
            differences.setdefault(name, {}).setdefault(cut.position, []).append(
                cut.depth_mm - key_type.depths_mm[true]
            )
    return [_errors(name, by_cut) for name, by_cut in differences.items()]


def measured(verdicts: Sequence[Verdict]) -> bool:
    """Return True if the reader measures heights.

    A reader that does not measure returns the height in the maker's table for every cut.
    """
    return any(
        abs(cut.depth_mm - key_type.depths_mm[cut.depth]) > _NOMINAL_MM
        for _, key_type, _, cut in _cuts(verdicts)
        if key_type and cut.depth in key_type.depths_mm
    )


def _cuts(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, Keyway | None, int, Cut]]:
    for verdict in verdicts:
        result, codes = verdict.result, verdict.shot.codes
        if (
            not isinstance(result, Reading)
            or codes is None
            or not verdict.right_keyway
            or len(codes) != len(result.cuts)
        ):
            continue
        key_type = _keyway_or_none(result.keyway)
        for true, cut in zip(codes, result.cuts, strict=True):
            yield result.keyway, key_type, true, cut


def _keyway_or_none(name: str) -> Keyway | None:
    try:
        return keyway(name)
    except UnknownKeyway:
        return None


def _depths(name: str, pairs: Mapping[tuple[int, int], int]) -> tuple[int, ...]:
    """Return the depths of the keyway, followed by other depths in labels or readings."""
    key_type = _keyway_or_none(name)
    own = tuple(key_type.depths_mm) if key_type else ()
    return (*own, *sorted({depth for pair in pairs for depth in pair} - set(own)))


def _errors(name: str, by_cut: Mapping[int, Sequence[float]]) -> Errors:
    all_differences = [difference for differences in by_cut.values() for difference in differences]
    return Errors(
        name,
        keyway(name).increment_mm,
        _spread(all_differences),
        tuple(_spread(differences) for _, differences in sorted(by_cut.items())),
    )


def _spread(differences: Sequence[float]) -> Spread:
    absolute = [abs(difference) for difference in differences]
    return Spread(len(differences), mean(differences), mean(absolute), median(absolute))
