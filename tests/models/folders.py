"""Valid model folders of each kind, which tests then damage."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit

from keylike.readers import loading as loading
from tests.classifier_models import make_classifier
from tests.readers.gemma.fake_folders import merged, write_manifest

SHIPPED = Path(__file__).resolve().parents[2] / "models" / "caliper"


@dataclass(frozen=True)
class Kind:
    """Kind of model, with functions to create and to open a folder, and a file to damage."""

    name: str
    make: Callable[[Path], object]
    open: Callable[[Path], object]
    file: str


def _gemma(folder: Path) -> None:
    write_manifest(merged(folder), "gemma-merged")


KINDS = (
    Kind("caliper", lambda folder: shutil.copytree(SHIPPED, folder), loading.load, "finder.onnx"),
    Kind("classifier", make_classifier, loading.load_classifier, "net.onnx"),
    # PyTorch could not open these weights, so each fault must be found before PyTorch opens them.
    Kind("gemma", _gemma, loading.look, "model.safetensors"),
)


def change_manifest(folder: Path, change: Callable[[Any], object]) -> None:
    """Rewrite the manifest after a change."""
    table = tomlkit.parse((folder / "manifest.toml").read_text())
    change(table)
    (folder / "manifest.toml").write_text(tomlkit.dumps(table))


def update_hash(folder: Path, name: str) -> None:
    """Update the hash of a file in the manifest."""
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    change_manifest(folder, lambda table: table["files"].update({name: digest}))
