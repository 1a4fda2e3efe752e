"""The verdicts of an evaluation, and the metrics that are computed from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from keylike.readers.contract import Reading, Unreadable
from keylike.readers.evaluation.calibration import calibration_error, reliability
from keylike.readers.evaluation.coverage import coverage_curve, point_at_coverage
from keylike.readers.evaluation.depths import confusions, errors, measured
from keylike.readers.evaluation.score import Score
from keylike.readers.evaluation.statistics import percentile
from keylike.readers.evaluation.verdict import Verdict

# Shares of photos at which the report states the accuracy of the most confident codes.
SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
# Largest number of failures in the gallery, and how many of them are kept for refusals. Wrong codes
# come first, but they must not displace all refusals.
_WORST, _RESERVED_FOR_REFUSALS = 24, 6


@dataclass
class Report:
    """The verdicts of one evaluation. `keyways` are the keyways that the reader knows."""

    keyways: tuple[str, ...] = ()
    verdicts: list[Verdict] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Add one verdict."""
        self.verdicts.append(verdict)

    @property
    def coded(self) -> list[Verdict]:
        """Return the verdicts on readable keys: the label has a code and a known keyway."""
        return [verdict for verdict in self.verdicts if self._has_code(verdict)]

    @property
    def uncoded(self) -> list[Verdict]:
        """Return all other verdicts: photos without a key, uncut keys, and other families."""
        return [verdict for verdict in self.verdicts if not self._has_code(verdict)]

    @property
    def confidences(self) -> list[tuple[float, bool]]:
        """Return, for each reading of a readable key, its confidence, and True if it is correct."""
        return [
            (verdict.result.confidence, verdict.whole)
            for verdict in self.coded
            if isinstance(verdict.result, Reading)
        ]

    @property
    def by_tier(self) -> dict[str, Score]:
        """Return the scores of readable keys by tier, in the order of the labels."""
        return _scores((verdict.shot.tier, verdict) for verdict in self.coded)

    @property
    def by_keyway(self) -> dict[str, Score]:
        """Return the scores of readable keys by keyway, in the order of the labels."""
        return _scores((verdict.shot.keyway, verdict) for verdict in self.coded)

    @property
    def by_group(self) -> dict[str, Score]:
        """Return the scores of readable keys: of all, by tier and by keyway.

        The result is empty if there are no readable keys.
        """
        return (
            {"all": Score.of(coded), **self.by_tier, **self.by_keyway}
            if (coded := self.coded)
            else {}
        )

    @property
    def families(self) -> dict[str, Counter[str]]:
        """Return the counts for photos without a readable code, by labelled keyway.

        The entries of a counter are photos, refused, read_as_SC1, read_as_SC4 and so on.
        """
        return _outcomes((verdict.shot.keyway, verdict) for verdict in self.uncoded)

    @property
    def unreadable(self) -> dict[str, Counter[str]]:
        """Return the same counts as `families`, with all keyways `other:...` combined."""
        return _outcomes((verdict.shot.keyway.split(":")[0], verdict) for verdict in self.uncoded)

    @property
    def wrong(self) -> list[Verdict]:
        """Return the verdicts with a wrong code, highest confidence first.

        They include codes that were read on photos without a readable key.
        """
        read = [
            (verdict.result.confidence, verdict)
            for verdict in self.verdicts
            if isinstance(verdict.result, Reading)
        ]
        ranked = sorted(read, key=lambda item: -item[0])
        return [verdict for _, verdict in ranked if not verdict.whole]

    @property
    def refused(self) -> list[Verdict]:
        """Return refusals of readable keys, in the order of the labels."""
        return [verdict for verdict in self.coded if isinstance(verdict.result, Unreadable)]

    def worst(self, limit: int = _WORST, reserved: int = _RESERVED_FOR_REFUSALS) -> list[Verdict]:
        """Return at most `limit` failures: wrong codes, then refusals of readable keys.

        Up to `reserved` of them are refusals, even if there are more wrong codes than `limit`.
        """
        codes, refused = self.wrong, self.refused
        codes = codes[: limit - min(len(refused), reserved)]
        return [*codes, *refused[: limit - len(codes)]]

    def to_dict(self) -> dict[str, object]:
        """Return all metrics as JSON-compatible values. They contain no codes of keys."""
        coded, ms = self.coded, [verdict.ms for verdict in self.verdicts]
        curve = coverage_curve(self.confidences, len(coded))
        points = [point_at_coverage(curve, share) for share in SHARES]
        return {
            "readable": {name: score.to_dict() for name, score in self.by_group.items()},
            "not_readable": {name: dict(counts) for name, counts in self.unreadable.items()},
            "refusals": dict(refusals(self.verdicts)),
            "refusals_readable": dict(refusals(coded)),
            "coverage": [point.to_dict() for point in points if point],
            "reliability": [
                [item.readings, round(item.confidence, 4), round(item.accuracy, 4)]
                for item in reliability(self.confidences)
            ],
            "calibration_error": calibration_error(self.confidences),
            "confusion": {
                item.keyway: {"cuts": item.cuts, "wrong": item.mistakes()}
                for item in confusions(coded)
            },
            "measured": measured(coded),
            "errors_mm": {
                item.keyway: {
                    "signed": round(item.all.signed, 4),
                    "absolute": round(item.all.absolute, 4),
                    "median": round(item.all.median, 4),
                    "by_cut": [
                        [round(cut.signed, 4), round(cut.absolute, 4)] for cut in item.by_cut
                    ],
                }
                for item in errors(coded)
            },
            "ms_p50": round(percentile(ms, 0.5), 1),
            "ms_p95": round(percentile(ms, 0.95), 1),
        }

    def _has_code(self, verdict: Verdict) -> bool:
        return verdict.shot.codes is not None and verdict.shot.keyway in self.keyways


def refusals(verdicts: Iterable[Verdict]) -> Counter[str]:
    """Return the number of refusals by reason."""
    return Counter(
        verdict.result.reason.value
        for verdict in verdicts
        if isinstance(verdict.result, Unreadable)
    )


def _scores(named: Iterable[tuple[str, Verdict]]) -> dict[str, Score]:
    groups: dict[str, list[Verdict]] = {}
    for name, verdict in named:
        groups.setdefault(name, []).append(verdict)
    return {name: Score.of(verdicts) for name, verdicts in groups.items()}


def _outcomes(named: Iterable[tuple[str, Verdict]]) -> dict[str, Counter[str]]:
    groups: dict[str, Counter[str]] = {}
    for name, verdict in named:
        counts, result = groups.setdefault(name, Counter()), verdict.result
        counts["photos"] += 1
        counts["refused" if isinstance(result, Unreadable) else f"read_as_{result.keyway}"] += 1
    return groups
