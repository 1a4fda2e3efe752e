"""Selection of the worst failures of an evaluation."""

from __future__ import annotations

from keylike.readers.contract import Reading, Unreadable
from keylike.readers.evaluation.report import Report
from keylike.readers.evaluation.verdict import Verdict

LIMIT = 24
# Refusals follow wrong codes, but a poor reader must not displace all of them.
RESERVED_FOR_REFUSALS = 6


def worst(
    report: Report, limit: int = LIMIT, reserved: int = RESERVED_FOR_REFUSALS
) -> list[Verdict]:
    """Return at most `most` failures: wrong codes, then refused readable keys.

    Up to `for_refusals` places are reserved for refusals.
    """
    codes, refusals = wrong(report), refused(report)
    codes = codes[: limit - min(len(refusals), reserved)]
    return [*codes, *refusals[: limit - len(codes)]]


def wrong(report: Report) -> list[Verdict]:
    """Return wrong codes by descending confidence, including those on photos without a code."""
    read = [
        (verdict.result.confidence, verdict)
        for verdict in report.verdicts
        if isinstance(verdict.result, Reading)
    ]
    return [verdict for _, verdict in sorted(read, key=lambda item: -item[0]) if not verdict.whole]


def refused(report: Report) -> list[Verdict]:
    """Return refusals of readable keys, in the order of the labels."""
    return [verdict for verdict in report.coded if isinstance(verdict.result, Unreadable)]
