"""Tests of writing a calibration to a manifest."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from pathlib import Path

import pytest

from keylike.errors import ModelError
from keylike.readers.gemma import manifest_file
from keylike.readers.gemma.manifest import (
    Agreement,
    GemmaManifest,
    Isotonic,
    Temperature,
    gemma_manifest,
)
from keylike.readers.gemma.manifest_file import write_fitted
from keylike.readers.model_files import check_files, read_manifest

TEMPERATURE = Temperature(temperature=1.7, fitted_on=40, error=0.03)
ISOTONIC = Isotonic(points=((0.1, 0.2), (0.9, 0.8)), fitted_on=120)
SHARED = Agreement(shared_error=0.2, fitted_on=40)
IN_USE = GemmaManifest(
    name="keys", version="1.0.0", kind="gemma-lora", base="gemma-3n-E4B-it", keyways=("SC1", "KW1")
)
MANIFEST_TEXT = """\
# ours
name = "keys"   # what answers say
version = "2.1.0"
kind = "gemma-merged"
keyways = ["SC1"]
licence = "private"

[calibration]  # by hand
method = "temperature"  # for now
temperature = 3.0
fitted_on = 25  # too few

[measured]  # at home
photos = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a model folder with a manifest that contains comments."""
    (tmp_path / "manifest.toml").write_text(MANIFEST_TEXT)
    return tmp_path


def manifest_of(folder: Path) -> GemmaManifest:
    return gemma_manifest(read_manifest(folder))


def test_writing_a_calibration_keeps_everything_else_and_comments(folder: Path) -> None:
    write_fitted(folder, IN_USE, ISOTONIC)
    text = (folder / "manifest.toml").read_text()
    assert manifest_of(folder).calibration == ISOTONIC
    assert manifest_of(folder).agreement is None
    before, table = MANIFEST_TEXT.split("[calibration]")
    assert text.startswith(before)
    assert text.endswith(table[table.index("[measured]") :])
    assert all(comment in text for comment in ("# by hand", "# for now", "# too few"))
    assert "temperature" not in text


def test_writing_a_calibration_twice_gives_the_same_manifest(folder: Path) -> None:
    write_fitted(folder, IN_USE, TEMPERATURE, SHARED)
    once = (folder / "manifest.toml").read_bytes()
    write_fitted(folder, IN_USE, TEMPERATURE, SHARED)
    assert (folder / "manifest.toml").read_bytes() == once
    assert manifest_of(folder).agreement == SHARED


@pytest.mark.parametrize(
    "ending", ["", "\n", 'calibration = {method = "temperature", temperature = 2, fitted_on = 9}\n']
)
def test_calibration_can_replace_inline_tables_and_end_a_file(folder: Path, ending: str) -> None:
    (folder / "manifest.toml").write_text(
        MANIFEST_TEXT.partition("\n\n")[0] + "\n" * bool(ending) + ending
    )
    write_fitted(folder, IN_USE, ISOTONIC, SHARED)
    assert manifest_of(folder).calibration == ISOTONIC
    assert manifest_of(folder).agreement == SHARED


def test_complete_manifest_is_written_if_there_is_none(tmp_path: Path) -> None:
    files = {
        "adapter_model.safetensors": b"weights",
        "adapter_config.json": b"{}",
        "chat_template.jinja": b"",
        "notes.txt": b"mine",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    write_fitted(tmp_path, IN_USE, TEMPERATURE)
    table = tomllib.loads((tmp_path / "manifest.toml").read_text())
    del files["notes.txt"]
    assert table["files"] == {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items()
    }
    assert set(table) >= {"prompt", "picture", "reply"}
    check_files(tmp_path, table)
    assert gemma_manifest(table) == IN_USE.model_copy(update={"calibration": TEMPERATURE})


@pytest.mark.parametrize(
    ("trained_on", "present", "expected"),
    [
        ("me/Small", ("small", "gemma-3n-e4b-it"), "me/Small"),
        ("me/Small", ("gemma-3n-e4b-it",), "gemma-3n-E4B-it"),
        ("me/Small", (), "me/Small"),
        (None, (), "gemma-3n-E4B-it"),
    ],
)
def test_new_manifest_names_the_base_model_that_was_found(
    tmp_path: Path, trained_on: str | None, present: tuple[str, ...], expected: str
) -> None:
    folder, models = tmp_path / "adapter", tmp_path / "models"
    for path in (folder, models, *(models / name for name in present)):
        path.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": trained_on}))
    write_fitted(folder, IN_USE, TEMPERATURE, models=models)
    assert manifest_of(folder).base == expected


def test_new_manifest_includes_the_depth_scale(tmp_path: Path) -> None:
    with_scale = IN_USE.model_copy(update={"kind": "gemma-merged", "depths": {"SC1": {1: 9, 2: 8}}})
    write_fitted(tmp_path, with_scale, TEMPERATURE)
    assert manifest_of(tmp_path).depths == with_scale.depths


def test_failed_write_keeps_the_old_manifest_and_no_temporary_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ModelError, match="cannot be written: No space left") as caught:
        write_fitted(folder, IN_USE, TEMPERATURE)
    assert str(folder.parent) not in str(caught.value)
    assert (folder / "manifest.toml").read_text() == MANIFEST_TEXT
    assert [path.name for path in folder.iterdir()] == ["manifest.toml"]


def test_manifest_that_would_be_invalid_is_not_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest_file, "_plain", lambda value: {"method": "guess"})
    with pytest.raises(ModelError, match="calibration"):
        write_fitted(folder, IN_USE, TEMPERATURE)
    assert (folder / "manifest.toml").read_text() == MANIFEST_TEXT


def test_writing_a_calibration_keeps_the_file_mode(folder: Path) -> None:
    (folder / "manifest.toml").chmod(0o640)
    write_fitted(folder, IN_USE, TEMPERATURE)
    assert (folder / "manifest.toml").stat().st_mode & 0o777 == 0o640
