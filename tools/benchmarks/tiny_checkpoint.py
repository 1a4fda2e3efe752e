"""Builds a tiny Gemma 3n for benchmarks, to replace the real model.

It is trained on eight rendered photos to give the long reply.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# Width and height of the picture in pixels, tokens per picture, number of training photos.
SIDE, IMAGE_TOKENS, PHOTOS = 64, 16, 8
# Number of text layers. It is that of the real model, so that the ratio between the cost of text
# and the cost of pictures is realistic.
LAYERS = 35
# Options of tools.training.finetune_gemma. The long reply has about five times as many tokens as
# the short one, so it takes more steps until the model has memorised the replies.
TRAINING_OPTIONS = (
    "--reply",
    "long",
    "--steps",
    "200",
    "--batch",
    str(PHOTOS),
    "--lr",
    "5e-3",
    "--held-out",
    "0",
    "--save-every",
    "1000",
)


def tiny_checkpoint(work: Path) -> tuple[Path, Path]:
    """Return the folder of the merged model and the folder of its photos.

    The first call builds and trains the model, which takes about two minutes.
    """
    base, photos, trained = work / "tiny-gemma", work / "photos", work / "taught"
    if not (trained / "merged" / "manifest.toml").exists():
        _run(
            "tools.training.tiny_gemma",
            base,
            "--side",
            SIDE,
            "--image-tokens",
            IMAGE_TOKENS,
            "--layers",
            LAYERS,
        )
        _run(
            "tools.training.render",
            photos,
            "--count",
            PHOTOS,
            "--seed",
            5,
            "--size",
            640,
            480,
            "--tiers",
            "easy",
            "--plain",
        )
        _run("tools.training.finetune_gemma", photos, trained, "--base", base, *TRAINING_OPTIONS)
    return trained / "merged", photos


def _run(module: str, *arguments: object) -> None:
    """Run a module of this project with one thread for numerical libraries.

    With several threads, PyTorch multiplies small matrices more slowly, because the threads wait
    for each other.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    subprocess.run(
        command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL
    )
