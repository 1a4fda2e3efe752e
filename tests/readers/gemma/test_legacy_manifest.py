"""Tests of Gemma folders without a manifest.

They get the manifest of the models that an earlier tutorial trained.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from keylike.readers.gemma.folder import inspect
from keylike.readers.gemma.legacy_manifest import legacy_manifest
from tests.readers.gemma.fake_folders import lora, merged


def test_merged_model_without_a_manifest_gets_the_default_manifest(tmp_path: Path) -> None:
    found = inspect(
        merged(tmp_path / "gemma3n_keynet_vision_merged_enhanced"), base_model=None, models=None
    ).manifest
    assert (found.name, found.version, found.base) == (
        "gemma3n_keynet_vision_merged_enhanced",
        "0",
        None,
    )
    assert found.prompt.image == "last" and found.prompt.text.startswith(
        "You are an expert locksmith analyzing a key image. Look"
    )
    assert found.prompt.text.endswith("COMPLEXITY: [score]\n\nAnalyze this key image:")
    assert (found.picture.crop, found.picture.fit, found.picture.side) == ("none", "squash", 336)
    assert (
        found.keyways == ("SC1", "SC4", "KW1")
        and found.calibration is None
        and found.reply.none is None
    )


def test_adapter_without_a_manifest_finds_its_base_model(tmp_path: Path) -> None:
    base = merged(tmp_path / "gemma-3n-E4B-it")
    found = inspect(
        lora(tmp_path / "gemma3n_keynet_vision_lora_enhanced", base="/content/base"),
        base_model=None,
        models=None,
    )
    assert found.base == base and found.manifest.base == "unsloth/gemma-3n-E4B-it"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("my keys (2)", "my-keys--2-"),
        (".hidden", "hidden"),
        ("ключи", "gemma"),
        ("x" * 90, "x" * 64),
    ],
)
def test_invalid_folder_name_becomes_a_valid_model_name(folder: str, name: str) -> None:
    assert legacy_manifest(folder, "gemma-merged").name == name
