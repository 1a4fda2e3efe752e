"""The verdicts of one run and every figure that is made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from keylike.readers.contract import Reading, Unreadable
from keylike.readers.evaluation.calibration import calibration_error, reliability
from keylike.readers.evaluation.coverage import covered, surest
from keylike.readers.evaluation.depths import confusions, errors, measured
from keylike.readers.evaluation.score import Score
from keylike.readers.evaluation.statistics import percentile
from keylike.readers.evaluation.verdict import Verdict

SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass
class Report:
    """The verdicts of one run; `keyways` are those that the reader claims to know."""

    keyways: tuple[str, ...] = ()
    verdicts: list[Verdict] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Takes one more in."""
        self.verdicts.append(verdict)

    @property
    def coded(self) -> list[Verdict]:
        """Those on keys with a code that the reader claims to read."""
        return [verdict for verdict in self.verdicts if self._has_code(verdict)]

    @property
    def uncoded(self) -> list[Verdict]:
        """All others: no key, no cuts, another family."""
        return [verdict for verdict in self.verdicts if not self._has_code(verdict)]

    @property
    def sure(self) -> list[tuple[float, bool]]:
        """Of every reading of a readable key, its confidence and whether the whole code is right."""
        return [
            (verdict.result.confidence, verdict.whole)
            for verdict in self.coded
            if isinstance(verdict.result, Reading)
        ]

    @property
    def by_tier(self) -> dict[str, Score]:
        """Readable keys by tier, in the order of the labels."""
        return _scores((verdict.shot.tier, verdict) for verdict in self.coded)

    @property
    def by_keyway(self) -> dict[str, Score]:
        """Readable keys by keyway, in the order of the labels."""
        return _scores((verdict.shot.keyway, verdict) for verdict in self.coded)

    @property
    def by_group(self) -> dict[str, Score]:
        """All readable keys, then by tier, then by keyway; empty without any."""
        return (
            {"all": Score.of(coded), **self.by_tier, **self.by_keyway}
            if (coded := self.coded)
            else {}
        )

    @property
    def families(self) -> dict[str, Counter[str]]:
        """What became of photos without a readable code, by the label's keyway: photos, refused, read_as_SC1 ..."""
        return _fates((verdict.shot.keyway, verdict) for verdict in self.uncoded)

    @property
    def unreadable(self) -> dict[str, Counter[str]]:
        """The same with all `other:` families together."""
        return _fates((verdict.shot.keyway.split(":")[0], verdict) for verdict in self.uncoded)

    def to_dict(self) -> dict[str, object]:
        """Everything but the single verdicts as plain values, ready for one JSON line; it holds no code."""
        coded, ms = self.coded, [verdict.ms for verdict in self.verdicts]
        curve = covered(self.sure, len(coded))
        points = [surest(curve, share) for share in SHARES]
        return {
            "readable": {name: score.to_dict() for name, score in self.by_group.items()},
            "not_readable": {name: dict(counts) for name, counts in self.unreadable.items()},
            "refusals": dict(refusals(self.verdicts)),
            "refusals_readable": dict(refusals(coded)),
            "coverage": [point.to_dict() for point in points if point],
            "reliability": [[each.readings, round(each.confidence, 4), round(each.accuracy, 4)] for each in reliability(self.sure)],
            "calibration_error": calibration_error(self.sure),
            "confusion": {each.keyway: {"cuts": each.cuts, "wrong": each.mistakes()} for each in confusions(coded)},
            "measured": measured(coded),
            "errors_mm": {
                each.keyway: {
                    "signed": round(each.all.signed, 4), "absolute": round(each.all.absolute, 4), "median": round(each.all.median, 4),
                    "by_cut": [[round(cut.signed, 4), round(cut.absolute, 4)] for cut in each.by_cut],
                }
                for each in errors(coded)
            },
            "ms_p50": round(percentile(ms, 0.5), 1),
            "ms_p95": round(percentile(ms, 0.95), 1),
        }  # fmt: skip

    def _has_code(self, verdict: Verdict) -> bool:
        return verdict.shot.codes is not None and verdict.shot.keyway in self.keyways


def refusals(verdicts: Iterable[Verdict]) -> Counter[str]:
    """How often each reason was given."""
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


def _fates(named: Iterable[tuple[str, Verdict]]) -> dict[str, Counter[str]]:
    groups: dict[str, Counter[str]] = {}
    for name, verdict in named:
        counts, result = groups.setdefault(name, Counter()), verdict.result
        counts["photos"] += 1
        counts["refused" if isinstance(result, Unreadable) else f"read_as_{result.keyway}"] += 1
    return groups
