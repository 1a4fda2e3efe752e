"""Trains the embedded reader: `python -m tools.training WORK models/caliper --version 1.3.0`.

`make train` runs it. It renders the pictures, trains the three networks in parallel, exports them,
fits the calibration and writes the manifest. You can stop it at any time: when it runs again, it
skips finished steps and resumes training from the last checkpoint. With `--further`, training
starts from the networks in the model folder instead of random weights.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Rendered training pictures as {seed: number of pictures}, and the training steps of each network,
# for training that starts from random weights. WHOLES are small whole photos, PLATES are
# straightened blades (see dataset.py).
WHOLES = {1: 6000, 2: 6000}
PLATES = {11: 4000, 12: 4000, 13: 4000, 14: 4000, 15: 4000, 16: 4000}
STEPS = {"measurer": 5500, "aligner": 7500, "finder": 5000}
# Steps and peak learning rate of further training. At higher rates, the finder lost accuracy that
# it had before (docs/LOG.md).
FURTHER = {"measurer": (6300, 1.2e-3), "aligner": (7500, 1.2e-3), "finder": (3000, 6e-4)}
# The held-out photos for the calibration: seed, number, and size (width, height) in pixels.
HELD_SEED, HELD_PHOTOS, HELD_SIZE = 9001, 1200, (1024, 768)
# Kinds of the held-out photos, in turn.
HELD_KINDS = (
    "SC1",
    "KW1",
    "SC4",
    "other",
    "SC1",
    "KW1",
    "SC4",
    "other",
    "other",
    "blank",
    "none",
    "several",
)


def together(commands: Sequence[Sequence[str]], jobs: int) -> None:
    """Run Python modules with their arguments, `jobs` at a time.

    Raises:
        CalledProcessError: One of them failed.
    """

    def run(command: Sequence[str]) -> None:
        subprocess.run(
            [sys.executable, "-m", *command], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(run, commands))


def drawings(work: Path) -> list[list[str]]:
    """Return the commands that render the missing training pictures and held-out photos."""
    data, held = work / "data", work / "held"
    shards = [("plates", seed, count) for seed, count in PLATES.items()] + [
        ("wholes", seed, count) for seed, count in WHOLES.items()
    ]
    commands = [
        ["tools.training.dataset", what, str(data), "--seed", str(seed), "--count", str(count)]
        for what, seed, count in shards
    ]
    if not (held / "labels.jsonl").exists():
        width, height = HELD_SIZE
        options = [
            "--count",
            str(HELD_PHOTOS),
            "--seed",
            str(HELD_SEED),
            "--size",
            str(width),
            str(height),
            "--kinds",
            *HELD_KINDS,
        ]
        commands.append(["tools.training.render", str(held), *options])
    return commands


def taking_up(work: Path, model: Path) -> list[list[str]]:
    """Return the commands that import the networks in `model` as checkpoints where none exist."""
    missing = [name for name in STEPS if not (work / "checkpoints" / f"{name}.pt").exists()]
    options = ["--data", str(work / "data"), "--nets"]
    return [
        ["tools.training.import_weights", str(model), str(work / "checkpoints"), *options, name]
        for name in missing
    ]


def trainings(work: Path, further: bool) -> list[list[str]]:
    """Return the commands that train the three networks to their last step."""
    options = ["--data", str(work / "data"), "--out", str(work / "checkpoints")]
    if further:
        return [
            ["tools.training.train", name, *options, "--steps", str(steps), "--rate", str(rate)]
            for name, (steps, rate) in FURTHER.items()
        ]
    return [
        ["tools.training.train", name, *options, "--steps", str(steps)]
        for name, steps in STEPS.items()
    ]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="for drawings (14 GB) and checkpoints")
    parser.add_argument(
        "model", type=Path, help="the folder that gets the ONNX files and the manifest"
    )
    parser.add_argument("--version", required=True)
    parser.add_argument("--further", action="store_true", help="go on from the networks in MODEL")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    together(drawings(options.work), options.jobs)
    if options.further:
        together(taking_up(options.work, options.model), options.jobs)
    together(trainings(options.work, options.further), options.jobs)
    together([["tools.training.export", str(options.work / "checkpoints"), str(options.model)]], 1)
    together(
        [
            [
                "tools.training.calibrate",
                str(options.model),
                str(options.work / "held"),
                "--version",
                options.version,
            ]
        ],
        1,
    )


if __name__ == "__main__":
    main()
