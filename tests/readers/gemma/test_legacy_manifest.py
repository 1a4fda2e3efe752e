"""Tests for folders without a manifest, read as the older guide trained them."""

from __future__ import annotations

from pathlib import Path

import pytest

from keylike.readers.gemma.folder import inspect
from keylike.readers.gemma.legacy_manifest import legacy_manifest
from tests.readers.gemma.fake_folders import lora, merged


def test_inspect_merged_folder_without_manifest_uses_guides_defaults(tmp_path: Path) -> None:
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


def test_inspect_adapter_without_manifest_finds_its_base(tmp_path: Path) -> None:
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
def test_legacy_manifest_invalid_folder_name_is_sanitised(folder: str, name: str) -> None:
    assert legacy_manifest(folder, "gemma-merged").name == name
