"""The base of an adapter is looked for on this machine alone, in an order that the one who starts the server can overrule."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from keylike.errors import ModelError
from keylike.readers.gemma.base import find_base
from keylike.readers.gemma.folder import inspect
from tests.readers.gemma.fake_folders import lora, merged, seal


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """An adapter with nothing beside it."""
    return lora(tmp_path / "home" / "keys")


def found(
    adapter: Path, *names: str, base_model: Path | None = None, models: Path | None = None
) -> Path:
    """The base found under these names."""
    return find_base(adapter, names, base_model=base_model, models=models)


def test_whoever_starts_the_server_comes_first(adapter: Path, tmp_path: Path) -> None:
    beside, own = merged(adapter.parent / "base"), merged(tmp_path / "own")
    assert found(adapter, "base") == beside
    assert found(adapter, "base", base_model=own) == own
    with pytest.raises(ModelError, match="KEYLIKE_BASE_MODEL: there is no folder gone"):
        found(adapter, "base", base_model=tmp_path / "gone")


def test_a_path_then_the_models_then_beside(adapter: Path, tmp_path: Path) -> None:
    named = merged(tmp_path / "named" / "base")
    models = tmp_path / "models"
    beside = merged(adapter.parent / "base")
    assert found(adapter, "google/base", models=models) == beside
    known = merged(models / "base")
    assert found(adapter, "google/base", models=models) == known
    assert found(adapter, str(named), models=models) == named


def test_last_part_of_the_name_in_any_spelling(adapter: Path) -> None:
    """Unsloth writes small letters, and some train on Windows."""
    beside = merged(adapter.parent / "gemma-3n-E4B-it")
    assert found(adapter, "unsloth/gemma-3n-e4b-it") == beside
    assert found(adapter, r"C:\Users\Ann\models\gemma-3n-E4B-it") == beside


def test_second_name_where_the_first_is_nowhere(adapter: Path) -> None:
    beside = merged(adapter.parent / "base")
    assert found(adapter, "elsewhere/bnb-4bit", "base") == beside


def test_an_adapter_is_not_its_own_base(adapter: Path) -> None:
    with pytest.raises(ModelError, match="its base model is not here"):
        found(adapter, "keys")


def test_message_names_the_base_and_no_path(adapter: Path) -> None:
    with pytest.raises(ModelError) as told:
        found(adapter, "unsloth/gemma-3n-E4B-it", "/home/ann/secret/gemma-base")
    assert str(told.value) == (
        "keys is a LoRA adapter, and its base model is not here (unsloth/gemma-3n-E4B-it or gemma-base): "
        "put the base's folder beside it, or name it with KEYLIKE_BASE_MODEL"
    )
    with pytest.raises(ModelError, match="does not say which"):
        found(adapter)


@pytest.mark.gemma
def test_what_was_once_downloaded(
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
    assert found(adapter, "unsloth/gemma-3n-E4B-it") == snapshot
    with pytest.raises(ModelError, match="its base model is not here"):
        found(adapter, "unsloth/other")


def test_manifest_knows_better_than_the_adapter_and_a_default_does_not(tmp_path: Path) -> None:
    folder = lora(tmp_path / "keys", base="trained-on")
    trained_on, default = merged(tmp_path / "trained-on"), merged(tmp_path / "gemma-3n-E4B-it")
    assert inspect(folder, base_model=None, models=None).base == trained_on
    seal(folder, "gemma-lora", base="gemma-3n-E4B-it")
    assert inspect(folder, base_model=None, models=None).base == default


def test_adapter_that_names_no_base(tmp_path: Path) -> None:
    folder, default = lora(tmp_path / "keys", base=None), merged(tmp_path / "gemma-3n-E4B-it")
    assert inspect(folder, base_model=None, models=None).base == default
