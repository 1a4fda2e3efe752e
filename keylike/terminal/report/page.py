"""Build the evaluation page and write it to a file.

The page contains its pictures and its style sheet, and no scripts. Its Content-Security-Policy
allows nothing else. All text is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from keylike.readers.contract import ReaderInfo
from keylike.readers.evaluation.calibration import calibration_error, reliability
from keylike.readers.evaluation.coverage import coverage_curve, point_at_coverage
from keylike.readers.evaluation.depths import confusions, errors, measured
from keylike.readers.evaluation.report import SHARES, Report, refusals
from keylike.readers.evaluation.score import Score
from keylike.readers.evaluation.statistics import percentile
from keylike.terminal.report import charts, formatting
from keylike.terminal.report.failure_gallery import failure

HERE = Path(__file__).parent
# Coverage at which the page states the accuracy of the most confident codes.
STATED = 0.8
# Largest number of families with a row of their own. The others share one row, because labels may
# name any number of families and the page should stay small.
MAX_FAMILIES = 30
FAMILY_NAMES = {"none": "no key", "blank": "uncut blank", "other": "other families"}


@dataclass(frozen=True, slots=True)
class FamilyOutcome:
    """The results for photos of one family without a readable code.

    `read_as` contains the number of wrong readings by keyway.
    """

    name: str
    photos: int
    refused: int
    read_as: tuple[tuple[str, int], ...]


def write_page(
    target: Path, report: Report, reader: ReaderInfo, folders: Sequence[Path], now: float
) -> None:
    """Write the page.

    Args:
        target: file to write.
        report: results of the evaluation.
        reader: the reader that was evaluated.
        folders: labelled folders. The page shows only their names.
        now: current time in seconds since 1970.

    Raises:
        OSError: The file cannot be written.
    """
    # A file name that is not UTF-8 contains lone surrogates, which cannot be encoded.
    target.write_bytes(render(report, reader, folders, now).encode("utf-8", "replace"))


def render(report: Report, reader: ReaderInfo, folders: Sequence[Path], now: float) -> str:
    """Return the page as HTML. The photos of the failures that it shows are opened again."""
    style = (HERE / "page.css").read_text(encoding="utf-8")
    day = time.strftime("%Y-%m-%d", time.gmtime(now))
    # The hash in the Content-Security-Policy must match the exact bytes of the style sheet.
    style_hash = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = _environment().get_template("page.html")
    values = {**_scores(report), **_confidence(report), **_depths(report), **_refusals(report)}
    return page.render(
        reader=reader,
        folders=[folder.resolve().name for folder in folders],
        day=day,
        style=Markup(style),
        style_hash=style_hash,
        **values,
    )


def _scores(report: Report) -> dict[str, Any]:
    ms = [verdict.ms for verdict in report.verdicts]
    return {
        "photos": len(report.verdicts),
        "score": Score.of(report.coded),
        "groups": (("By tier", report.by_tier), ("By keyway", report.by_keyway)),
        "axis": charts.INTERVAL_TICKS,
        "ms": (percentile(ms, 0.5), percentile(ms, 0.95)),
        "failed": len(report.wrong) + len(report.refused),
        "failures": [failure(verdict) for verdict in report.worst()],
    }


def _confidence(report: Report) -> dict[str, Any]:
    sure = report.confidences
    curve = coverage_curve(sure, len(report.coded))
    return {
        "stated": point_at_coverage(curve, STATED),
        "points": [(share, point_at_coverage(curve, share)) for share in SHARES],
        "curve_end": curve[-1] if curve else None,
        "coverage": charts.coverage_chart(curve, STATED) if curve else None,
        "bins": reliability(sure),
        "reliability": charts.reliability_chart(reliability(sure)) if sure else None,
        "calibration_error": calibration_error(sure),
    }


def _depths(report: Report) -> dict[str, Any]:
    missed = errors(report.coded)
    return {
        "confusions": confusions(report.coded),
        "errors": missed,
        "error_charts": charts.error_charts(missed),
        "measured": measured(report.coded),
    }


def _refusals(report: Report) -> dict[str, Any]:
    return {
        "refused_coded": refusals(report.coded).most_common(),
        "refused_uncoded": refusals(report.uncoded).most_common(),
        "uncoded": len(report.uncoded),
        "family_outcomes": family_outcomes(report.families),
    }


def family_outcomes(families: Mapping[str, Counter[str]]) -> list[FamilyOutcome]:
    """Return one row per family, those with the most wrong readings first.

    If there are more than MAX_FAMILIES, the remaining ones share the last row.
    """
    ordered = sorted(
        families.items(), key=lambda family: family[1]["refused"] - family[1]["photos"]
    )
    rows = [
        _family_outcome(FAMILY_NAMES.get(name, name.removeprefix("other:")), counts)
        for name, counts in ordered[:MAX_FAMILIES]
    ]
    rest = ordered[MAX_FAMILIES:]
    if rest:
        rows.append(
            _family_outcome(f"{len(rest)} more", sum((counts for _, counts in rest), Counter()))
        )
    return rows


def _family_outcome(name: str, counts: Counter[str]) -> FamilyOutcome:
    read = [
        (key.removeprefix("read_as_"), count)
        for key, count in counts.most_common()
        if key.startswith("read_as_")
    ]
    return FamilyOutcome(name, counts["photos"], counts["refused"], tuple(read))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": formatting.percent,
        "interval": formatting.interval,
        "signed": formatting.signed,
        "plain": formatting.plain,
    }
    environment.globals |= {"shade": charts.shade, "span": charts.INTERVAL}
    return environment
