"""Puts a run's figures into the model card; `python -m keylike.terminal.card CARD MANIFEST` takes the output of `evaluate` on standard input.

Everything between the two marks is written anew, the rest of the card stays as its author left it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keylike.terminal.report.words import NBSP, interval, percent

BEGIN, END = "<!-- figures, written by make evaluation-docs -->", "<!-- end of figures -->"
_NAMES = {"none": "no key", "blank": "an uncut blank", "other": "a key of another family"}


def with_figures(card: str, run: Mapping[str, Any], manifest: Mapping[str, Any], day: str) -> str:
    """The card with the figures of `run`, evaluate's line of JSON, and of the manifest. Raises ValueError without both marks in order."""
    before, begin, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the card must hold {BEGIN} and, after it, {END}")
    figures = "\n".join(_lines(run, manifest, day)).replace(NBSP, " ")
    return f"{before}{BEGIN}\n{figures}\n{END}{after}"


def _lines(run: Mapping[str, Any], manifest: Mapping[str, Any], day: str) -> Iterator[str]:
    yield f"{run['model']} on {day}. Refusals count as wrong; 95 % intervals in brackets."
    yield ""
    yield from _scores(run["readable"])
    yield ""
    yield from _worth(run)
    yield from _others(run["not_readable"])
    yield from _held_back(manifest)


def _scores(groups: Mapping[str, Any]) -> Iterator[str]:
    yield "| | photos | whole code | in first 3 | each cut | keyway | refused |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for name, row in groups.items():
        whole, cut, keyway = (
            f"{percent(row[of])} ({interval(row[f'{of}_95'])})" for of in ("whole", "cut", "keyway")
        )
        yield f"| {name} | {row['photos']} | {whole} | {percent(row['top3'])} | {cut} | {keyway} | {percent(row['refused'])} |"


def _worth(run: Mapping[str, Any]) -> Iterator[str]:
    points = [point for point in run["coverage"] if point["coverage"] >= 0.8]
    if points:
        yield (
            f"- Codes given for the surest {percent(points[0]['coverage'], 0)} of the photos alone: {percent(points[0]['accuracy'])} right "
            f"({interval(points[0]['accuracy_95'])})."
        )
    if run["calibration_error"] is not None:
        yield f"- Expected calibration error of the confidence: {run['calibration_error']:.3f}."
    heights = ", ".join(
        f"{name} {error['absolute']:.3f} ({error['signed']:+.3f})"
        for name, error in run["errors_mm"].items()
    )
    if heights:
        yield f"- Mean absolute (and signed) error of a measured height, mm: {heights}."


def _others(fates: Mapping[str, Any]) -> Iterator[str]:
    for name, counts in fates.items():
        read = ", ".join(
            f"{count} read as {key.removeprefix('read_as_')}"
            for key, count in counts.items()
            if key.startswith("read_as_")
        )
        rest = f"; {read}" if read else ""
        yield f"- Photos of {_NAMES.get(name, name)}: {counts.get('refused', 0)} of {counts['photos']} refused{rest}."


def _held_back(manifest: Mapping[str, Any]) -> Iterator[str]:
    if measured := manifest.get("measured"):
        told = f"{percent(measured['whole_code'])} of whole codes, calibration error {measured['calibration_error']:.3f}"
        yield f"- Measured when it was made, on {measured['photos']} other held-back drawings: {told}."


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("card", type=Path)
    parser.add_argument("manifest", type=Path)
    options = parser.parse_args()
    run = json.loads(sys.stdin.read().splitlines()[-1])
    day = time.strftime("%Y-%m-%d", time.gmtime())
    told = with_figures(
        options.card.read_text(encoding="utf-8"),
        run,
        tomllib.loads(options.manifest.read_text(encoding="utf-8")),
        day,
    )
    options.card.write_text(told, encoding="utf-8")


if __name__ == "__main__":
    main()
