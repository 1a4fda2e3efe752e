"""Measure how well the caliper classifies key families: `python -m tools.benchmarks.families`.

The benchmark renders the same number of photos of each kind. For each kind it prints the number of
photos, the number of photos in which no blade was detected, and the accuracy and mean confidence
on the others. The last line is JSON. Rendering and reading one photo takes almost a second.
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
SIZE = (1280, 960)  # width and height of the photos in pixels


def classify_all(folder: Path, each: int, seed: int) -> dict[str, list[Classification]]:
    """Return the classifications of all rendered photos, grouped by true kind.

    Args:
        folder: Folder of the model.
        each: Number of photos of each kind.
        seed: Random seed of the photos.
    """
    classifier = families(load(folder))
    predictions: dict[str, list[Classification]] = {kind: [] for kind in KINDS}
    for sample in photos(Scene(seed, grounds=40), each * len(KINDS), SIZE, kinds=KINDS):
        _, data = cv2.imencode(".jpg", sample.picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        answer = classifier.classify(open_photo(data.tobytes()))
        if isinstance(answer, Classification):
            predictions[sample.kind].append(answer)
    return predictions


def figures(predictions: dict[str, list[Classification]]) -> dict[str, dict[str, float]]:
    """Return the figures of each kind: counts, accuracy and mean confidence.

    Accuracy and mean confidence are computed over the photos in which a blade was detected.
    """
    table = {}
    for kind, answers in predictions.items():
        with_blade = [answer for answer in answers if answer is not NO_BLADE]
        table[kind] = {
            "photos": len(answers),
            "no_blade": len(answers) - len(with_blade),
            "right": round(statistics.mean(answer.predicted == kind for answer in with_blade), 4)
            if with_blade
            else 0.0,
            "confidence": round(statistics.mean(answer.confidence for answer in with_blade), 4)
            if with_blade
            else 0.0,
        }
    return table


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "caliper")
    parser.add_argument("--each", type=int, default=100, help="photos to draw per kind")
    parser.add_argument("--seed", type=int, default=9400)
    options = parser.parse_args()
    configure_image_libraries()
    cv2.setNumThreads(1)
    result = figures(classify_all(options.model, options.each, options.seed))
    table = Table("kind", "photos", "no blade found", "accuracy where found", "mean confidence")
    for kind, row in result.items():
        table.add_row(kind, *(f"{value:g}" for value in row.values()))
    Console().print(table)
    print(json.dumps({"benchmark": "families", "seed": options.seed, "kinds": result}))


if __name__ == "__main__":
    main()
