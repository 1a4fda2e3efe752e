"""Tiny Gemma models for tests, fine-tuned on a few rendered keys, in every form that is served."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keylike.readers.evaluation import Shot, shots
from tools.training.render import Scene, photos, write_folder

ROOT = Path(__file__).resolve().parent.parent
SIDE, IMAGE_TOKENS = 64, 16
KINDS = ("SC1", "KW1", "SC4", "none")
COUNT = 8
# Reaches a loss below 0.01 on the reply, so that every form tolerates rounding.
TRAINING_OPTIONS = (
    "--steps",
    "100",
    "--batch",
    str(COUNT),
    "--lr",
    "5e-3",
    "--held-out",
    "0",
    "--save-every",
    "1000",
)


@dataclass(frozen=True, slots=True)
class GemmaModels:
    """Folders of the tiny models and their training photos.

    Attributes:
        base: Untrained base model.
        lora: Adapter, which reads every one of `shots` correctly.
        merged: The same, merged with the base.
        nf4: The same, merged and stored in 4 bits.
        photos: Folder with the photos and labels.jsonl.
        shots: Labelled photos. Every fourth has no key.
    """

    base: Path
    lora: Path
    merged: Path
    nf4: Path
    photos: Path
    shots: tuple[Shot, ...]


def make(folder: Path) -> GemmaModels:
    """Build, fine-tune and quantise the models.

    The result is deterministic. It takes about a minute on one core.
    """
    base, rendered, out = folder / "tiny-gemma", folder / "photos", folder / "finetuned"
    run("tools.training.tiny_gemma", base, "--side", SIDE, "--image-tokens", IMAGE_TOKENS)
    draw(rendered, COUNT)
    run("tools.training.finetune_gemma", rendered, out, "--base", base, *TRAINING_OPTIONS)
    nf4 = _quantise(out / "merged", out / "nf4")
    return GemmaModels(base, out / "lora", out / "merged", nf4, rendered, tuple(shots(rendered)))


def draw(folder: Path, count: int) -> None:
    """Render easy keys on plain backgrounds, with no key in every fourth photo."""
    write_folder(
        folder, photos(Scene(5, grounds=8, plain=True), count, (640, 480), ("easy",), KINDS)
    )


def run(module: str, *arguments: object) -> str:
    """Run a command of the project on one core and return its standard output.

    Standard error is shown if it fails.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment() -> dict[str, str]:
    """Return environment variables for one thread, which is faster for PyTorch's small products."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def _quantise(merged: Path, nf4: Path) -> Path:
    """Store the merged model in 4 bits with bitsandbytes, with an updated manifest."""
    from keylike.readers.gemma.folder import inspect
    from keylike.readers.gemma.with_transformers import TransformersBackend
    from tools.training.gemma_folders import save_merged, write_manifest

    checkpoint = inspect(merged, base_model=None, models=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded: Any = TransformersBackend().load(checkpoint, "nf4")
        save_merged(loaded.model, loaded.processor, nf4)
    write_manifest(nf4, checkpoint.manifest, None)
    return nf4
