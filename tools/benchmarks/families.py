"""How well the caliper tells families of keys apart, on as many drawn photos of each kind: `python -m tools.benchmarks.families`.

Prints a table: photos of each kind, on how many no blade was found, and of the others how many were told right and how sure it was. The
last line is JSON. Takes most of a second a photo.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import cv2
from rich.console import Console
from rich.table import Table

from keylike.images.libraries import configure_image_libraries
from keylike.images.photo import open_photo
from keylike.readers.caliper.networks import KINDS
from keylike.readers.classifiers.contract import Classification
from keylike.readers.classifiers.families import NO_BLADE
from keylike.readers.loading import families, load
from tools.training.render import Scene, photos

ROOT = Path(__file__).resolve().parents[2]
SIZE = (1280, 960)


def classify_all(folder: Path, each: int, seed: int) -> dict[str, list[Classification]]:
    """What is said about every photo, by the kind that is really on it."""
    classifier = families(load(folder))
    said: dict[str, list[Classification]] = {kind: [] for kind in KINDS}
    for sample in photos(Scene(seed, grounds=40), each * len(KINDS), SIZE, kinds=KINDS):
        _, data = cv2.imencode(".jpg", sample.picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        answer = classifier.classify(open_photo(data.tobytes()))
        if isinstance(answer, Classification):
            said[sample.kind].append(answer)
    return said


def figures(said: dict[str, list[Classification]]) -> dict[str, dict[str, float]]:
    """Counts of each kind, and over those with a blade the share told right and the mean confidence."""
    table = {}
    for kind, answers in said.items():
        found = [answer for answer in answers if answer is not NO_BLADE]
        table[kind] = {
            "photos": len(answers),
            "no_blade": len(answers) - len(found),
            "right": round(statistics.mean(answer.predicted == kind for answer in found), 4)
            if found
            else 0.0,
            "confidence": round(statistics.mean(answer.confidence for answer in found), 4)
            if found
            else 0.0,
        }
    return table


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "caliper")
    parser.add_argument("--each", type=int, default=100, help="photos of each kind")
    parser.add_argument("--seed", type=int, default=9400)
    options = parser.parse_args()
    configure_image_libraries()
    cv2.setNumThreads(1)
    result = figures(classify_all(options.model, options.each, options.seed))
    table = Table("kind", "photos", "no blade found", "told right where found", "confidence there")
    for kind, row in result.items():
        table.add_row(kind, *(f"{value:g}" for value in row.values()))
    Console().print(table)
    print(json.dumps({"benchmark": "families", "seed": options.seed, "kinds": result}))


if __name__ == "__main__":
    main()
