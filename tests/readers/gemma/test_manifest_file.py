"""Writing what was fitted: only that changes, the file is read again, and a failure leaves the old one."""

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

WARM = Temperature(temperature=1.7, fitted_on=40, error=0.03)
LINE = Isotonic(points=((0.1, 0.2), (0.9, 0.8)), fitted_on=120)
SHARED = Agreement(shared_error=0.2, fitted_on=40)
IN_USE = GemmaManifest(
    name="keys", version="1.0.0", kind="gemma-lora", base="gemma-3n-E4B-it", keyways=("SC1", "KW1")
)
WRITTEN = """\
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
    """A model folder with a manifest that someone wrote with care."""
    (tmp_path / "manifest.toml").write_text(WRITTEN)
    return tmp_path


def manifest_of(folder: Path) -> GemmaManifest:
    return gemma_manifest(read_manifest(folder))


def test_all_but_the_calibration_stays_with_its_comments(folder: Path) -> None:
    write_fitted(folder, IN_USE, LINE)
    text = (folder / "manifest.toml").read_text()
    assert manifest_of(folder).calibration == LINE
    assert manifest_of(folder).agreement is None
    before, table = WRITTEN.split("[calibration]")
    assert text.startswith(before)
    assert text.endswith(table[table.index("[measured]") :])
    assert all(words in text for words in ("# by hand", "# for now", "# too few"))
    assert "temperature" not in text


def test_written_twice_is_written_once(folder: Path) -> None:
    write_fitted(folder, IN_USE, WARM, SHARED)
    once = (folder / "manifest.toml").read_bytes()
    write_fitted(folder, IN_USE, WARM, SHARED)
    assert (folder / "manifest.toml").read_bytes() == once
    assert manifest_of(folder).agreement == SHARED


@pytest.mark.parametrize(
    "ending", ["", "\n", 'calibration = {method = "temperature", temperature = 2, fitted_on = 9}\n']
)
def test_tables_written_otherwise_and_files_without_a_last_line_end_are_met(
    folder: Path, ending: str
) -> None:
    (folder / "manifest.toml").write_text(
        WRITTEN.partition("\n\n")[0] + "\n" * bool(ending) + ending
    )
    write_fitted(folder, IN_USE, LINE, SHARED)
    assert manifest_of(folder).calibration == LINE
    assert manifest_of(folder).agreement == SHARED


def test_an_older_folder_gets_a_whole_manifest(tmp_path: Path) -> None:
    files = {
        "adapter_model.safetensors": b"weights",
        "adapter_config.json": b"{}",
        "chat_template.jinja": b"",
        "notes.txt": b"mine",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    write_fitted(tmp_path, IN_USE, WARM)
    table = tomllib.loads((tmp_path / "manifest.toml").read_text())
    del files["notes.txt"]
    assert table["files"] == {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items()
    }
    assert set(table) >= {"prompt", "picture", "reply"}
    check_files(tmp_path, table)
    assert gemma_manifest(table) == IN_USE.model_copy(update={"calibration": WARM})


@pytest.mark.parametrize(
    ("trained_on", "there", "named"),
    [
        ("me/Small", ("small", "gemma-3n-e4b-it"), "me/Small"),
        ("me/Small", ("gemma-3n-e4b-it",), "gemma-3n-E4B-it"),
        ("me/Small", (), "me/Small"),
        (None, (), "gemma-3n-E4B-it"),
    ],
)
def test_the_base_is_called_what_it_was_found_by(
    tmp_path: Path, trained_on: str | None, there: tuple[str, ...], named: str
) -> None:
    folder, models = tmp_path / "adapter", tmp_path / "models"
    for path in (folder, models, *(models / name for name in there)):
        path.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": trained_on}))
    write_fitted(folder, IN_USE, WARM, models=models)
    assert manifest_of(folder).base == named


def test_a_scale_of_the_models_own_is_written_too(tmp_path: Path) -> None:
    own = IN_USE.model_copy(update={"kind": "gemma-merged", "depths": {"SC1": {1: 9, 2: 8}}})
    write_fitted(tmp_path, own, WARM)
    assert manifest_of(tmp_path).depths == own.depths


def test_a_failure_leaves_the_old_manifest_and_nothing_beside_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ModelError, match="cannot be written: No space left") as caught:
        write_fitted(folder, IN_USE, WARM)
    assert str(folder.parent) not in str(caught.value)
    assert (folder / "manifest.toml").read_text() == WRITTEN
    assert [path.name for path in folder.iterdir()] == ["manifest.toml"]


def test_what_cannot_be_read_again_is_not_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest_file, "_plain", lambda value: {"method": "guess"})
    with pytest.raises(ModelError, match="calibration"):
        write_fitted(folder, IN_USE, WARM)
    assert (folder / "manifest.toml").read_text() == WRITTEN


def test_others_may_still_read_it(folder: Path) -> None:
    (folder / "manifest.toml").chmod(0o640)
    write_fitted(folder, IN_USE, WARM)
    assert (folder / "manifest.toml").stat().st_mode & 0o777 == 0o640
