"""A tiny Gemma 3n that was taught a handful of drawn keys and the longer reply, for measuring where no real checkpoint is at hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SIDE, IMAGE_TOKENS, PHOTOS = 64, 16, 8
# As deep as the real model, in text as in vision, so that reading a picture and writing a word cost in proportion.
LAYERS = 35
# The longer reply is about five times as long as the short one, and takes more steps to be known by heart.
COURSE = (
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
    """The merged folder and its photos, made in about two minutes where they are not there yet."""
    base, photos, taught = work / "tiny-gemma", work / "photos", work / "taught"
    if not (taught / "merged" / "manifest.toml").exists():
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
        _run("tools.training.finetune_gemma", photos, taught, "--base", base, *COURSE)
    return taught / "merged", photos


def _run(module: str, *arguments: object) -> None:
    """One of the project's commands, on one core: PyTorch's small products wait for each other with more."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    subprocess.run(
        command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL
    )
