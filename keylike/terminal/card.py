"""Update the figures in a model card from an evaluation.

`python -m keylike.terminal.card CARD MANIFEST` reads the output of `evaluate` from stdin. It
replaces the text between two markers in CARD and leaves the rest unchanged.
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

from keylike.terminal.report.formatting import NBSP, interval, percent

BEGIN, END = "<!-- figures, written by make evaluation-docs -->", "<!-- end of figures -->"
_NAMES = {"none": "no key", "blank": "an uncut blank", "other": "a key of another family"}


def with_figures(card: str, run: Mapping[str, Any], manifest: Mapping[str, Any], day: str) -> str:
    """Return the model card with new figures.

    Args:
        card: text of the model card.
        run: the parsed line of JSON that `evaluate` prints.
        manifest: the model's manifest.
        day: date of the evaluation.

    Raises:
        ValueError: A marker is missing, or they are in the wrong order.
    """
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
    yield from _confidence(run)
    yield from _unreadable(run["not_readable"])
    yield from _training_figures(manifest)


def _scores(groups: Mapping[str, Any]) -> Iterator[str]:
    yield "| | photos | whole code | in first 3 | each cut | keyway | refused |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for name, row in groups.items():
        whole, cut, keyway = (
            f"{percent(row[of])} ({interval(row[f'{of}_95'])})" for of in ("whole", "cut", "keyway")
        )
        yield (
            f"| {name} | {row['photos']} | {whole} | {percent(row['top3'])} | {cut} | "
            f"{keyway} | {percent(row['refused'])} |"
        )


def _confidence(run: Mapping[str, Any]) -> Iterator[str]:
    points = [point for point in run["coverage"] if point["coverage"] >= 0.8]
    if points:
        coverage, accuracy = percent(points[0]["coverage"], 0), percent(points[0]["accuracy"])
        yield (
            f"- Codes given only for the surest {coverage} of the photos: {accuracy} right "
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


def _unreadable(outcomes: Mapping[str, Any]) -> Iterator[str]:
    for name, counts in outcomes.items():
        read = ", ".join(
            f"{count} read as {key.removeprefix('read_as_')}"
            for key, count in counts.items()
            if key.startswith("read_as_")
        )
        rest = f"; {read}" if read else ""
        yield (
            f"- Photos of {_NAMES.get(name, name)}: {counts.get('refused', 0)} of "
            f"{counts['photos']} refused{rest}."
        )


def _training_figures(manifest: Mapping[str, Any]) -> Iterator[str]:
    if measured := manifest.get("measured"):
        accuracy = (
            f"{percent(measured['whole_code'])} of whole codes, calibration error "
            f"{measured['calibration_error']:.3f}"
        )
        yield (
            f"- Measured at training, on {measured['photos']} other held-back drawings: {accuracy}."
        )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("card", type=Path)
    parser.add_argument("manifest", type=Path)
    options = parser.parse_args()
    run = json.loads(sys.stdin.read().splitlines()[-1])
    day = time.strftime("%Y-%m-%d", time.gmtime())
    updated = with_figures(
        options.card.read_text(encoding="utf-8"),
        run,
        tomllib.loads(options.manifest.read_text(encoding="utf-8")),
        day,
    )
    options.card.write_text(updated, encoding="utf-8")


if __name__ == "__main__":
    main()
