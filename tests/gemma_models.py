"""Real Gemma folders for tests: a tiny base, taught a handful of drawn keys by the project's own commands, in each form that is served."""

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
# Enough for a loss on the reply below 0.01, which leaves every form room to round.
COURSE = (
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
    """Folders: `base` knows nothing; `lora` over it, `merged`, and `nf4` (merged, stored in 4 bits) read every one of `shots` right.

    `shots` lie in the folder `photos` with labels.jsonl; the last of each four has no key.
    """

    base: Path
    lora: Path
    merged: Path
    nf4: Path
    photos: Path
    shots: tuple[Shot, ...]


def make(folder: Path) -> GemmaModels:
    """Builds, draws, teaches and rounds: about a minute on one core. The same every time."""
    base, drawn, out = folder / "tiny-gemma", folder / "photos", folder / "taught"
    run("tools.training.tiny_gemma", base, "--side", SIDE, "--image-tokens", IMAGE_TOKENS)
    draw(drawn, COUNT)
    run("tools.training.finetune_gemma", drawn, out, "--base", base, *COURSE)
    nf4 = _rounded(out / "merged", out / "nf4")
    return GemmaModels(base, out / "lora", out / "merged", nf4, drawn, tuple(shots(drawn)))


def draw(folder: Path, count: int) -> None:
    """Photos of easy keys on plain grounds, and every fourth without one."""
    write_folder(
        folder, photos(Scene(5, grounds=8, plain=True), count, (640, 480), ("easy",), KINDS)
    )


def run(module: str, *arguments: object) -> str:
    """Runs one of the project's commands on one core and returns what it printed; what it said besides is in the error where it fails."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment() -> dict[str, str]:
    """With one thread: with more, PyTorch's small products wait for each other."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def _rounded(merged: Path, nf4: Path) -> Path:
    """The merged model as bitsandbytes stores it, with the manifest's files counted anew."""
    from keylike.readers.gemma.folder import inspect
    from keylike.readers.gemma.with_transformers import TransformersBackend
    from tools.training.gemma_folders import save_merged, seal

    checkpoint = inspect(merged, base_model=None, models=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded: Any = TransformersBackend().load(checkpoint, "nf4")
        save_merged(loaded.model, loaded.processor, nf4)
    seal(nf4, checkpoint.manifest, None)
    return nf4
