"""Puts the page together: figures and charts into the template, and the file onto the disk.

The page holds its pictures and its style and no script; its Content-Security-Policy allows nothing else. Every text is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from keylike.readers.contract import ReaderInfo
from keylike.readers.evaluation.calibration import calibration_error, reliability
from keylike.readers.evaluation.coverage import covered, surest
from keylike.readers.evaluation.depths import confusions, errors, measured
from keylike.readers.evaluation.failures import refused, worst, wrong
from keylike.readers.evaluation.report import SHARES, Report, refusals
from keylike.readers.evaluation.score import Score
from keylike.readers.evaluation.statistics import percentile
from keylike.terminal.report import charts, words
from keylike.terminal.report.failure_gallery import failure
from keylike.terminal.report.families import fates

HERE = Path(__file__).parent
STATED = 0.8


def write_page(
    target: Path, report: Report, reader: ReaderInfo, folders: Sequence[Path], now: float
) -> None:
    """Writes the page; `folders` are the labelled ones, of which it tells the names alone, `now` is seconds since 1970. Raises OSError."""
    # A file name that is no UTF-8 came as half a pair of surrogates, which cannot be written.
    target.write_bytes(render(report, reader, folders, now).encode("utf-8", "replace"))


def render(report: Report, reader: ReaderInfo, folders: Sequence[Path], now: float) -> str:
    """The page; opens the photos of the failures that it shows."""
    style = (HERE / "page.css").read_text(encoding="utf-8")
    day = time.strftime("%Y-%m-%d", time.gmtime(now))
    # The style is this project's own, and the hash must be that of these very bytes.
    style_hash = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = _environment().get_template("page.html")
    said = {**_scores(report), **_confidence(report), **_depths(report), **_refusals(report)}
    return page.render(
        reader=reader,
        folders=[folder.resolve().name for folder in folders],
        day=day,
        style=Markup(style),
        style_hash=style_hash,
        **said,
    )


def _scores(report: Report) -> dict[str, Any]:
    ms = [verdict.ms for verdict in report.verdicts]
    return {
        "photos": len(report.verdicts),
        "score": Score.of(report.coded),
        "groups": (("By tier", report.by_tier), ("By keyway", report.by_keyway)),
        "axis": charts.INTERVAL_TICKS,
        "ms": (percentile(ms, 0.5), percentile(ms, 0.95)),
        "failed": len(wrong(report)) + len(refused(report)),
        "failures": [failure(verdict) for verdict in worst(report)],
    }


def _confidence(report: Report) -> dict[str, Any]:
    sure = report.sure
    curve = covered(sure, len(report.coded))
    return {
        "stated": surest(curve, STATED),
        "points": [(share, surest(curve, share)) for share in SHARES],
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
        "fates": fates(report.families),
    }


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
        "percent": words.percent,
        "interval": words.interval,
        "signed": words.signed,
        "plain": words.plain,
    }
    environment.globals |= {"shade": charts.shade, "span": charts.INTERVAL}
    return environment
