"""Tests that the loader refuses missing, altered and unknown models with a clear message."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from keylike.errors import ModelError
from keylike.readers import loading as loading
from keylike.readers.contract import Reader
from keylike.readers.loading import UNFITTED, agreement_of, load, load_agreeing
from tests.fakes import colour_reader

SHA256 = hashlib.sha256(b"weights").hexdigest()


def folder(tmp_path: Path, manifest: str, weights: bytes = b"weights") -> Path:
    """Create a model folder with this manifest and one weight file."""
    (tmp_path / "manifest.toml").write_text(manifest)
    (tmp_path / "weights.onnx").write_bytes(weights)
    return tmp_path


def test_missing_model_folder_raises_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere does not exist"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("kind = ", "not valid TOML"),
        ('kind = "caliper"', "lists no files"),
        ('kind = "caliper"\n[files]\n"other.onnx" = "00"', "missing"),
        ('kind = "caliper"\n[files]\n"../weights.onnx" = "00"', "not a plain file name"),
        (f'kind = "pickle"\n[files]\n"weights.onnx" = "{SHA256}"', "'pickle' are not supported"),
    ],
)
def test_invalid_model_manifest_raises_model_error(
    tmp_path: Path, manifest: str, message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        load(folder(tmp_path, manifest))
    assert str(tmp_path.parent) not in str(caught.value)


def test_altered_model_file_raises_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not match its SHA-256"):
        load(
            folder(tmp_path, f'kind = "caliper"\n[files]\n"weights.onnx" = "{SHA256}"', b"altered")
        )


def test_agreement_of_two_calipers_raises_model_error() -> None:
    caliper = Path(loading.__file__).parents[2] / "models" / "caliper"
    with pytest.raises(
        ModelError, match="KEYLIKE_AGREE needs MODEL_PATH to name a model other than the caliper"
    ):
        load_agreeing(caliper, caliper)


def test_agreeing_reader_combines_the_model_and_the_caliper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Path] = []

    def fake(folder: Path, choices: loading.Choices = loading.DEFAULTS) -> Reader:
        loaded.append(folder)
        return colour_reader()

    monkeypatch.setattr(loading, "load", fake)
    pair = load_agreeing(tmp_path, tmp_path / "caliper")
    assert loaded == [tmp_path, tmp_path / "caliper"]
    assert (pair.info.name, pair.info.version) == ("colour-1.0.0+colour", "1.0.0")


def test_agreement_is_read_from_the_manifest(tmp_path: Path) -> None:
    assert agreement_of(tmp_path) == UNFITTED
    (tmp_path / "manifest.toml").write_text("")
    assert agreement_of(tmp_path) == UNFITTED
    (tmp_path / "manifest.toml").write_text("[agreement]\nshared_error = 0.2\nfitted_on = 40\n")
    assert agreement_of(tmp_path) == (0.2, True)


@pytest.mark.parametrize(
    "name", ["gemma-3n-E4B-it", "gemma-3n-E2B", "gemma-3n-E4B-it-unsloth-bnb-4bit"]
)
def test_base_model_that_cannot_read_keys_raises_model_error(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(
        ModelError, match=f"{name} is a base model that was not trained to read keys"
    ):
        load(tmp_path / name)
