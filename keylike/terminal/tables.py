"""Format results as tables and lines: readings, refusals, scores, and findings of `doctor`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from keylike.doctor.finding import Finding, State
from keylike.errors import KeylikeError, UnreadableKey
from keylike.inference import Answer
from keylike.readers.contract import Reading
from keylike.readers.evaluation import (
    Report,
    Verdict,
    calibration_error,
    coverage_curve,
    percentile,
    point_at_coverage,
)

_COLOURS = {"ok": "green", "note": "cyan", "warn": "yellow", "fault": "bold red"}


def readings(photos: Sequence[Path], results: Sequence[Answer | KeylikeError]) -> Table:
    """Return a table with one row per photo."""
    table = Table("photo", "keyway", "bitting", "confidence", "each cut", "ms")
    if any(isinstance(result, Answer) for result in results):
        table.caption = "Check a code with a key gauge before you have a key cut."
    for photo, result in zip(photos, results, strict=True):
        if isinstance(result, KeylikeError):
            table.add_row(photo.name, "-", "-", "-", "-", "-")
            continue
        reading, cuts = (
            result.reading,
            " ".join(f"{cut.probability:.0%}" for cut in result.reading.cuts),
        )
        keyway = f"{reading.keyway} ({result.bitting.keyway.brand})"
        table.add_row(
            photo.name,
            keyway,
            result.bitting.format(),
            f"{reading.confidence:.0%}",
            cuts,
            f"{result.processing_ms:.0f}",
        )
    return table


def refusals(photos: Sequence[Path], results: Sequence[Answer | KeylikeError]) -> Iterator[str]:
    """Yield a line per photo that was not read: message, the codes of two readers, and advice."""
    for photo, result in zip(photos, results, strict=True):
        if isinstance(result, KeylikeError):
            advice = f" {result.advice}" if isinstance(result, UnreadableKey) else ""
            yield f"{photo.name}: {result.message}{_opinions(result)}{advice}"


def _opinions(refused: KeylikeError) -> str:
    outcome: Any = refused.details.get("opinions", ())
    return "".join(
        f" {one['model']} reads {one['keyway']} {one['bitting']} ({one['probability']:.0%})."
        for one in outcome
    )


def miss(verdict: Verdict) -> str | None:
    """Return a line for a photo that was not read correctly, or None for a correct result.

    A refusal is the correct result for a photo without a code.
    """
    result, shot = verdict.result, verdict.shot
    if verdict.whole or (shot.codes is None and not isinstance(result, Reading)):
        return None
    outcome = (
        f"{result.keyway} {result.codes} {result.confidence:.0%}"
        if isinstance(result, Reading)
        else result.reason.value
    )
    return f"{shot.path.name}: {shot.tier} {shot.keyway} {shot.codes or ''}: {outcome}"


def miss_printer(console: Console, misses: bool) -> Callable[[Verdict], None]:
    """Return a callback that prints a line for each photo that was not read correctly.

    If `misses` is False, it prints nothing.
    """

    def print_miss(verdict: Verdict) -> None:
        if misses and (line := miss(verdict)):
            console.print(line, markup=False)

    return print_miss


def scores(report: Report) -> Table:
    """Return a table with one row per group of photos. Its caption has calibration and times."""
    table = Table(
        "",
        "photos",
        "whole code",
        "95 %",
        "in first 3",
        "each cut",
        "keyway",
        "refused",
        caption=_caption(report),
    )
    for name, score in report.by_group.items():
        row: dict[str, Any] = score.to_dict()
        low, high = row["whole_95"]
        shares = [f"{row[key]:.1%}" for key in ("top3", "cut", "keyway", "refused")]
        table.add_row(
            escape(name), str(score.photos), f"{row['whole']:.1%}", f"{low:.0%}-{high:.0%}", *shares
        )
    for name, counts in report.unreadable.items():
        refused = f"{counts['refused'] / counts['photos']:.1%}"
        table.add_row(
            f"{escape(name)}: no code", str(counts["photos"]), "", "", "", "", "", refused
        )
    return table


def _caption(report: Report) -> str | None:
    error, ms = calibration_error(report.confidences), [verdict.ms for verdict in report.verdicts]
    if error is None:
        return None
    point = point_at_coverage(coverage_curve(report.confidences, len(report.coded)), 0.8)
    low, high = point.interval if point else (0.0, 0.0)
    coverage = (
        f"surest 80 %: {point.accuracy:.1%} right ({low:.0%}-{high:.0%})"
        if point
        else "more than 20 % refused"
    )
    return (
        f"{coverage}; calibration error {error:.3f}; {percentile(ms, 0.5):.0f} ms per "
        f"photo, 95 % within {percentile(ms, 0.95):.0f} ms"
    )


def checks(findings: Sequence[Finding]) -> Table:
    """Return a table with one row per check."""
    table = Table("state", "check", "what was seen", "what to do")
    for finding in findings:
        state = Text(finding.state.value, _COLOURS[finding.state.value])
        # Wrap long texts, because a truncated path is useless.
        table.add_row(
            state,
            finding.name,
            Text(finding.saw, overflow="fold"),
            Text(finding.advice, overflow="fold"),
        )
    return table


def print_checks(console: Console, findings: Sequence[Finding], *, as_json: bool) -> bool:
    """Print the findings as a table or as a line of JSON.

    Returns:
        True if there is a fault.
    """
    faults = sum(finding.state is State.FAULT for finding in findings)
    if as_json:
        print(
            json.dumps(
                {
                    "ok": not faults,
                    "faults": faults,
                    "findings": [asdict(finding) for finding in findings],
                }
            )
        )
    else:
        console.print(checks(findings), soft_wrap=False)
    return faults > 0
