"""Model folders: what a Gemma folder looks like, which weights are loaded, and folders that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from keylike.doctor import models
from keylike.doctor.finding import State
from keylike.errors import ModelError
from keylike.readers.loading import look

CALIPER = Path(__file__).resolve().parents[2] / "models" / "caliper"


def refuse(folder: Path) -> str:
    """An inspection that finds fault."""
    raise ModelError("weights.onnx is damaged")


def test_what_the_inspection_says_is_told() -> None:
    found = models.embedded(CALIPER, look)
    assert (
        found.state is State.OK
        and "caliper 1.2.0 (caliper), 3 files" in found.saw
        and str(CALIPER) in found.saw
    )


@pytest.mark.parametrize(
    ("alone", "words"), [(True, "does not start"), (False, "embedded reader answers")]
)
def test_a_model_that_is_refused(alone: bool, words: str) -> None:
    found = models.model(CALIPER, refuse, alone=alone)
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
def test_what_is_meant_to_be_gemma(tmp_path: Path, files: dict[str, str], gemma: bool) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert models.is_gemma(tmp_path) is gemma


def test_the_base_that_the_manifest_names_goes_before_the_adapters_own(tmp_path: Path) -> None:
    adapter, *bases = (tmp_path / "models" / name for name in ("keys", "one", "two"))
    for folder in (adapter, *bases):
        folder.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text('{"base_model_name_or_path": "one"}')
    assert models.opened(adapter, base_model=None, models=adapter.parent) == (adapter, bases[0])
    (adapter / "manifest.toml").write_text('base = "two"')
    assert models.opened(adapter, base_model=None, models=adapter.parent) == (adapter, bases[1])
    assert models.opened(adapter, base_model=bases[0], models=adapter.parent) == (adapter, bases[0])


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everywhere"
)
def test_a_folder_that_may_not_be_looked_into(tmp_path: Path) -> None:
    folder = tmp_path / "closed" / "model"
    folder.mkdir(parents=True)
    folder.parent.chmod(0)
    try:
        assert models.model(folder, look, alone=False).state is State.FAULT
        assert not models.is_gemma(folder) and models.opened(
            folder, base_model=None, models=tmp_path
        ) == (folder,)
    finally:
        folder.parent.chmod(0o700)
