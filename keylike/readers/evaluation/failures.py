"""The worst failures of a run: what a person should look at first."""

from __future__ import annotations

from keylike.readers.contract import Reading, Unreadable
from keylike.readers.evaluation.report import Report
from keylike.readers.evaluation.verdict import Verdict

MOST = 24
# Refusals come after the wrong codes, but a poor run must not crowd all of them out.
FOR_REFUSALS = 6


def worst(report: Report, most: int = MOST, for_refusals: int = FOR_REFUSALS) -> list[Verdict]:
    """At most `most`: wrong codes, then refused readable keys; these get `for_refusals` places if there are so many."""
    codes, none = wrong(report), refused(report)
    codes = codes[: most - min(len(none), for_refusals)]
    return [*codes, *none[: most - len(codes)]]


def wrong(report: Report) -> list[Verdict]:
    """Wrong codes, also on photos that have none to read; the surest first."""
    read = [
        (verdict.result.confidence, verdict)
        for verdict in report.verdicts
        if isinstance(verdict.result, Reading)
    ]
    return [verdict for _, verdict in sorted(read, key=lambda each: -each[0]) if not verdict.whole]


def refused(report: Report) -> list[Verdict]:
    """Refusals of keys that the reader claims to read, in the order of the labels."""
    return [verdict for verdict in report.coded if isinstance(verdict.result, Unreadable)]
