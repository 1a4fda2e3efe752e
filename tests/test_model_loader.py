"""The loader refuses what is missing, altered or unknown, in a line that says which."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from model_loader import ModelSlot, load_reader
from tests.fakes import ColourReader
from utils.errors import ModelError, ModelLoading

GOOD = hashlib.sha256(b"weights").hexdigest()


def folder(tmp_path: Path, manifest: str, weights: bytes = b"weights") -> Path:
    """A model folder with one file."""
    (tmp_path / "manifest.toml").write_text(manifest)
    (tmp_path / "weights.onnx").write_bytes(weights)
    return tmp_path


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load_reader(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("kind = ", "not valid TOML"),
        ('kind = "caliper"', "lists no files"),
        ('kind = "caliper"\n[files]\n"other.onnx" = "00"', "missing"),
        ('kind = "caliper"\n[files]\n"../weights.onnx" = "00"', "not a plain file name"),
        (f'kind = "pickle"\n[files]\n"weights.onnx" = "{GOOD}"', "not supported"),
    ],
)
def test_bad_manifest(tmp_path: Path, manifest: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_reader(folder(tmp_path, manifest))


def test_altered_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not match its SHA-256"):
        load_reader(folder(tmp_path, f'kind = "caliper"\n[files]\n"weights.onnx" = "{GOOD}"', b"altered"))


def test_slot_is_ready_only_after_warming() -> None:
    reader = ColourReader()
    slot = ModelSlot(lambda: reader)
    assert not slot.ready and slot.name is None
    with pytest.raises(ModelLoading):
        slot.reader()
    slot.load()
    assert slot.ready and reader.warmed
    assert slot.reader() is reader
    assert slot.name == "colour-1.0.0"
