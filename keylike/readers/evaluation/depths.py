"""Depths, cut by cut: which are taken for which, and how many millimetres the measurements are off.

Only readings of the right keyway with the right number of cuts are looked at: the numbers of another family mean other heights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

from keylike.keys.keyways import Keyway, UnknownKeyway, keyway
from keylike.readers.contract import Cut, Reading
from keylike.readers.evaluation.verdict import Verdict

_NOMINAL_MM = 1e-4


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often a true depth of one keyway was read as which: `counts` by (true, read), `depths` shallowest first."""

    keyway: str
    depths: tuple[int, ...]
    counts: Mapping[tuple[int, int], int]

    @property
    def cuts(self) -> int:
        """All cuts that were compared."""
        return sum(self.counts.values())

    def of(self, true: int) -> int:
        """How many cuts truly have this depth."""
        return sum(count for (depth, _), count in self.counts.items() if depth == true)

    def mistakes(self) -> dict[str, int]:
        """The wrong ones as "true>read", the most frequent first."""
        wrong = Counter(
            {f"{true}>{read}": count for (true, read), count in self.counts.items() if true != read}
        )
        return dict(wrong.most_common())


@dataclass(frozen=True, slots=True)
class Spread:
    """Errors in mm of some cuts, read minus true, so above 0 where too much blade was seen: means of the signed and of the absolute."""

    cuts: int
    signed: float
    absolute: float
    median: float


@dataclass(frozen=True, slots=True)
class Errors:
    """One keyway's errors: of all cuts, and by position from 1 at the bow; `step_mm` is one depth step."""

    keyway: str
    step_mm: float
    all: Spread
    by_cut: tuple[Spread, ...]


def confusions(verdicts: Sequence[Verdict]) -> list[Confusion]:
    """One for each keyway that was read."""
    counts: dict[str, Counter[tuple[int, int]]] = {}
    for name, _, true, cut in _cuts(verdicts):
        counts.setdefault(name, Counter())[true, cut.depth] += 1
    return [Confusion(name, _depths(name, pairs), pairs) for name, pairs in counts.items()]


def errors(verdicts: Sequence[Verdict]) -> list[Errors]:
    """One for each keyway that was read and whose heights are known."""
    misses: dict[str, dict[int, list[float]]] = {}
    for name, way, true, cut in _cuts(verdicts):
        if way is not None and true in way.depths_mm:
            misses.setdefault(name, {}).setdefault(cut.position, []).append(
                cut.depth_mm - way.depths_mm[true]
            )
    return [_errors(name, by_cut) for name, by_cut in misses.items()]


def measured(verdicts: Sequence[Verdict]) -> bool:
    """Whether the reader measures: any height off the nominal one of the depth that it read."""
    return any(
        abs(cut.depth_mm - way.depths_mm[cut.depth]) > _NOMINAL_MM
        for _, way, _, cut in _cuts(verdicts)
        if way and cut.depth in way.depths_mm
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
        way = _known(result.keyway)
        for true, cut in zip(codes, result.cuts, strict=True):
            yield result.keyway, way, true, cut


def _known(name: str) -> Keyway | None:
    try:
        return keyway(name)
    except UnknownKeyway:
        return None


def _depths(name: str, pairs: Mapping[tuple[int, int], int]) -> tuple[int, ...]:
    """The keyway's own, and whatever else a label or a reading says."""
    way = _known(name)
    own = tuple(way.depths_mm) if way else ()
    return (*own, *sorted({depth for pair in pairs for depth in pair} - set(own)))


def _errors(name: str, by_cut: Mapping[int, Sequence[float]]) -> Errors:
    together = [miss for misses in by_cut.values() for miss in misses]
    return Errors(
        name,
        keyway(name).increment_mm,
        _spread(together),
        tuple(_spread(misses) for _, misses in sorted(by_cut.items())),
    )


def _spread(misses: Sequence[float]) -> Spread:
    absolute = [abs(miss) for miss in misses]
    return Spread(len(misses), mean(misses), mean(absolute), median(absolute))
