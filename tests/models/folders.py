"""A good model folder of each kind, to be spoilt."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit

from keylike.readers import loading as model_loader
from tests.classifier_models import make_classifier
from tests.readers.gemma.fake_folders import merged, seal

SHIPPED = Path(__file__).resolve().parents[2] / "models" / "caliper"


@dataclass(frozen=True)
class Kind:
    """How a folder of a kind is made, how the server opens it, and the file in it that is spoilt."""

    name: str
    make: Callable[[Path], object]
    open: Callable[[Path], object]
    file: str


def _gemma(folder: Path) -> None:
    seal(merged(folder), "gemma-merged")


KINDS = (
    Kind(
        "caliper", lambda folder: shutil.copytree(SHIPPED, folder), model_loader.load, "finder.onnx"
    ),
    Kind("classifier", make_classifier, model_loader.load_classifier, "net.onnx"),
    # Its weights are nothing that PyTorch could open: whatever is wrong is seen before.
    Kind("gemma", _gemma, model_loader.look, "model.safetensors"),
)


def change_manifest(folder: Path, change: Callable[[Any], object]) -> None:
    """Rewrites the manifest."""
    table = tomlkit.parse((folder / "manifest.toml").read_text())
    change(table)
    (folder / "manifest.toml").write_text(tomlkit.dumps(table))


def list_anew(folder: Path, name: str) -> None:
    """Gives a file of the folder the hash that it has now."""
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    change_manifest(folder, lambda table: table["files"].update({name: digest}))
