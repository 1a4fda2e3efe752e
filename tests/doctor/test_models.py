"""Tests of the checks of model folders: Gemma, base models, and folders that others can change."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from keylike.doctor import models
from keylike.doctor.finding import State
from keylike.errors import ModelError
from keylike.readers.loading import look
from keylike.service import Load, create_app
from keylike.settings import Settings
from tests.log_text import log_text

CALIPER = Path(__file__).resolve().parents[2] / "models" / "caliper"


def refuse(folder: Path) -> str:
    """Raise the error that the loader raises for a damaged model."""
    raise ModelError("weights.onnx is damaged")


def test_check_of_the_embedded_reader_reports_its_version_and_folder() -> None:
    found = models.embedded(CALIPER, look)
    assert (
        found.state is State.OK
        and "caliper 1.3.0 (caliper), 3 files" in found.saw
        and str(CALIPER) in found.saw
    )


@pytest.mark.parametrize(
    ("no_fallback", "words"), [(True, "does not start"), (False, "embedded reader replaces it")]
)
def test_damaged_model_is_a_fault(no_fallback: bool, words: str) -> None:
    found = models.model(CALIPER, refuse, no_fallback=no_fallback)
    assert found.state is State.FAULT
    assert "weights.onnx is damaged" in found.saw and words in found.advice


@pytest.mark.parametrize(
    ("files", "gemma"),
    [
        ({}, False),
        ({"manifest.toml": 'kind = "gemma-lora"'}, True),
        ({"manifest.toml": 'kind = "caliper"', "config.json": "{}"}, False),
        ({"adapter_config.json": "{}"}, True),
        ({"config.json": "{}"}, True),
    ],
)
def test_is_gemma_is_true_only_for_gemma_folders(
    tmp_path: Path, files: dict[str, str], gemma: bool
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert models.is_gemma(tmp_path) is gemma


def test_base_model_of_the_setting_precedes_manifest_and_adapter(tmp_path: Path) -> None:
    adapter, *bases = (tmp_path / "models" / name for name in ("keys", "one", "two"))
    for folder in (adapter, *bases):
        folder.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text('{"base_model_name_or_path": "one"}')
    assert models.loaded_folders(adapter, base_model=None, models=adapter.parent) == (
        adapter,
        bases[0],
    )
    (adapter / "manifest.toml").write_text('base = "two"')
    assert models.loaded_folders(adapter, base_model=None, models=adapter.parent) == (
        adapter,
        bases[1],
    )
    assert models.loaded_folders(adapter, base_model=bases[0], models=adapter.parent) == (
        adapter,
        bases[0],
    )


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everywhere"
)
def test_model_in_an_inaccessible_folder_is_a_fault(tmp_path: Path) -> None:
    folder = tmp_path / "closed" / "model"
    folder.mkdir(parents=True)
    folder.parent.chmod(0)
    try:
        assert models.model(folder, look, no_fallback=False).state is State.FAULT
        assert not models.is_gemma(folder) and models.loaded_folders(
            folder, base_model=None, models=tmp_path
        ) == (folder,)
    finally:
        folder.parent.chmod(0o700)


def writable(path: Path) -> Path:
    """Allow everybody to write to a file or folder."""
    path.chmod(path.stat().st_mode | 0o002)
    return path


@pytest.fixture
def own_model(tmp_path: Path) -> Path:
    """Return a copy of the embedded reader that only this user can change."""
    folder = tmp_path / "parent" / "caliper"
    shutil.copytree(CALIPER, folder)
    for path in (folder.parent, folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o022)
    return folder


@pytest.mark.skipif(os.name != "posix", reason="needs permissions of POSIX")
@pytest.mark.parametrize("name", ["", "manifest.toml", "reader.onnx", ".."])
def test_model_that_others_can_change_is_a_warning(own_model: Path, name: str) -> None:
    assert models.embedded(own_model, look).state is State.OK
    name = next(own_model.glob("*.onnx")).name if name == "reader.onnx" else name
    changed = writable((own_model / name).resolve())
    found = models.embedded(own_model, look)
    assert found.state is State.WARN and "chmod" in found.advice
    assert f"other users can change {changed.name}" in found.saw


@pytest.mark.skipif(os.name != "posix", reason="needs permissions of POSIX")
def test_model_in_a_folder_with_the_sticky_bit_is_safe(own_model: Path) -> None:
    own_model.parent.chmod(0o1777)
    assert models.changeable_by_others(own_model) == []


@pytest.mark.skipif(getattr(os, "getuid", lambda: 1)() != 0, reason="only root can change owners")
def test_model_of_another_user_is_a_warning(own_model: Path) -> None:
    os.chown(own_model / "manifest.toml", 65534, 65534)
    assert models.changeable_by_others(own_model) == ["manifest.toml"]


@pytest.mark.skipif(os.name != "posix", reason="needs permissions of POSIX")
def test_loading_a_model_that_others_can_change_is_logged(
    own_model: Path, settings: Settings, model: Load
) -> None:
    chosen = settings.model_copy(update={"model_path": own_model})
    create_app(chosen, load=model)
    assert "changeable" not in log_text(settings.logs)
    writable(own_model)
    create_app(chosen, load=model)
    assert log_text(settings.logs).count("model changeable by other users") == 1
