"""Tiny Gemma 3n checkpoint for benchmarks without a real one.

It is trained on a handful of drawn keys with the long reply.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SIDE, IMAGE_TOKENS, PHOTOS = 64, 16, 8
# As many layers as the real model for text and vision, so that the two costs keep their proportion.
LAYERS = 35
# The long reply has about five times the tokens of the short one and needs more steps to memorise.
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
    """Return the merged model folder and its photos. The first call takes about two minutes."""
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
    """Run one of the project's commands on one core.

    PyTorch's small matrix products are slower with several threads, which wait for each other.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    subprocess.run(
        command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL
    )
