"""Tests of finding the base model of a LoRA adapter on the local machine."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from keylike.errors import ModelError
from keylike.readers.gemma.base import find_base
from keylike.readers.gemma.folder import inspect
from tests.readers.gemma.fake_folders import lora, merged, write_manifest


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """Return the folder of a LoRA adapter, which is in a folder of its own."""
    return lora(tmp_path / "home" / "keys")


def find(
    adapter: Path, *names: str, base_model: Path | None = None, models: Path | None = None
) -> Path:
    """Return the base model that is found by one of these names."""
    return find_base(adapter, names, base_model=base_model, models=models)


def test_base_model_of_the_setting_is_preferred(adapter: Path, tmp_path: Path) -> None:
    sibling, own = merged(adapter.parent / "base"), merged(tmp_path / "own")
    assert find(adapter, "base") == sibling
    assert find(adapter, "base", base_model=own) == own
    with pytest.raises(ModelError, match="KEYLIKE_BASE_MODEL: there is no folder gone"):
        find(adapter, "base", base_model=tmp_path / "gone")


def test_base_model_is_searched_as_path_in_models_and_next_to_the_adapter(
    adapter: Path, tmp_path: Path
) -> None:
    named = merged(tmp_path / "named" / "base")
    models = tmp_path / "models"
    sibling = merged(adapter.parent / "base")
    assert find(adapter, "google/base", models=models) == sibling
    in_models = merged(models / "base")
    assert find(adapter, "google/base", models=models) == in_models
    assert find(adapter, str(named), models=models) == named


def test_last_part_of_the_base_model_name_is_found_in_any_case(adapter: Path) -> None:
    """Find names in lower case, as Unsloth writes them, and names that are Windows paths."""
    sibling = merged(adapter.parent / "gemma-3n-E4B-it")
    assert find(adapter, "unsloth/gemma-3n-e4b-it") == sibling
    assert find(adapter, r"C:\Users\Ann\models\gemma-3n-E4B-it") == sibling


def test_base_model_is_found_by_the_second_name_if_the_first_is_missing(adapter: Path) -> None:
    sibling = merged(adapter.parent / "base")
    assert find(adapter, "elsewhere/bnb-4bit", "base") == sibling


def test_adapter_is_never_used_as_its_own_base_model(adapter: Path) -> None:
    with pytest.raises(ModelError, match="its base model was not found"):
        find(adapter, "keys")


def test_error_names_the_missing_base_model_without_its_path(adapter: Path) -> None:
    with pytest.raises(ModelError) as caught:
        find(adapter, "unsloth/gemma-3n-E4B-it", "/home/ann/secret/gemma-base")
    assert str(caught.value) == (
        "keys is a LoRA adapter, and its base model was not found "
        "(unsloth/gemma-3n-E4B-it or gemma-base): "
        "put the base's folder next to it, or set KEYLIKE_BASE_MODEL"
    )
    with pytest.raises(ModelError, match="does not name one"):
        find(adapter)


@pytest.mark.gemma
def test_base_model_is_found_in_the_cache_of_hugging_face(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("huggingface_hub") is None:
        pytest.skip("needs huggingface_hub")
    from huggingface_hub import constants

    stored = tmp_path / "hub" / "models--unsloth--gemma-3n-E4B-it"
    snapshot = merged(stored / "snapshots" / "0f")
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text("0f")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert find(adapter, "unsloth/gemma-3n-E4B-it") == snapshot
    with pytest.raises(ModelError, match="its base model was not found"):
        find(adapter, "unsloth/other")


def test_base_model_of_the_manifest_precedes_that_of_the_adapter(tmp_path: Path) -> None:
    folder = lora(tmp_path / "keys", base="trained-on")
    trained_on, default = merged(tmp_path / "trained-on"), merged(tmp_path / "gemma-3n-E4B-it")
    assert inspect(folder, base_model=None, models=None).base == trained_on
    write_manifest(folder, "gemma-lora", base="gemma-3n-E4B-it")
    assert inspect(folder, base_model=None, models=None).base == default


def test_adapter_without_a_base_model_name_uses_the_default(tmp_path: Path) -> None:
    folder, default = lora(tmp_path / "keys", base=None), merged(tmp_path / "gemma-3n-E4B-it")
    assert inspect(folder, base_model=None, models=None).base == default
