"""Tiny Gemma models for tests, fine-tuned on a few rendered keys, in each supported form."""

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
# Options that train to a loss below 0.01. The reply is then right in each form, also with rounded
# weights.
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
        base: Base model, which is not trained.
        lora: LoRA adapter, with which all `shots` are read correctly.
        merged: The base model with the adapter merged into it.
        nf4: The merged model, stored in 4 bits.
        photos: Folder with the training photos and labels.jsonl.
        shots: The labelled training photos. Every fourth one shows no key.
    """

    base: Path
    lora: Path
    merged: Path
    nf4: Path
    photos: Path
    shots: tuple[Shot, ...]


def make(folder: Path) -> GemmaModels:
    """Create, fine-tune and quantise the models.

    The result is deterministic. It takes about a minute on one core.
    """
    base, rendered, out = folder / "tiny-gemma", folder / "photos", folder / "finetuned"
    run("tools.training.tiny_gemma", base, "--side", SIDE, "--image-tokens", IMAGE_TOKENS)
    draw(rendered, COUNT)
    run("tools.training.finetune_gemma", rendered, out, "--base", base, *TRAINING_OPTIONS)
    nf4 = _quantise(out / "merged", out / "nf4")
    return GemmaModels(base, out / "lora", out / "merged", nf4, rendered, tuple(shots(rendered)))


def draw(folder: Path, count: int) -> None:
    """Render photos of keys on plain backgrounds, and in every fourth photo no key."""
    write_folder(
        folder, photos(Scene(5, grounds=8, plain=True), count, (640, 480), ("easy",), KINDS)
    )


def run(module: str, *arguments: object) -> str:
    """Run a command of the project on one core and return its standard output.

    If it fails, the test fails with its standard error.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment() -> dict[str, str]:
    """Return environment variables that limit PyTorch to one thread, which is faster here."""
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
