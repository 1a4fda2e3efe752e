"""Tests that a LoRA adapter is attached completely or refused, where PEFT would only warn."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keylike.errors import ModelError
from keylike.readers.model_files import MANIFEST
from tests.gemma_models import GemmaModels
from tests.readers.gemma.first_logits import load, logits

pytestmark = pytest.mark.gemma

LAYER = "base_model.model.model.language_model.layers."


@pytest.fixture
def lora(gemma_models: GemmaModels, tmp_path: Path) -> Path:
    """Return a copy of the adapter, without the manifest whose hashes would detect changes."""
    folder = shutil.copytree(gemma_models.lora, tmp_path / "keys")
    (folder / MANIFEST).unlink()
    return folder


def rewrite(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change the tensors of the adapter and save them as a valid file."""
    from safetensors.torch import load_file, save_file

    path = folder / "adapter_model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def configure(path: Path, part: str | None = None, **values: object) -> None:
    """Set values in a JSON file, or in its object `part`."""
    config = json.loads(path.read_text())
    (config[part] if part else config).update(values)
    path.write_text(json.dumps(config))


def test_adapter_with_other_tensor_names_is_refused(gemma_models: GemmaModels, lora: Path) -> None:
    rewrite(
        lora,
        lambda tensors: {
            name.replace("model.language_model", "language_model.model"): tensor
            for name, tensor in tensors.items()
        },
    )
    with pytest.raises(
        ModelError,
        match=(
            "keys/adapter_model.safetensors does not fit its base model: "
            r"it holds \d+ tensors.* only 0 agree"
        ),
    ):
        load(lora, base_model=gemma_models.base)


@pytest.mark.parametrize("suffix", ["lora_A.weight", "lora_B.weight"])
def test_adapter_with_a_missing_tensor_is_refused(
    gemma_models: GemmaModels, lora: Path, suffix: str
) -> None:
    name = f"{LAYER}0.self_attn.q_proj.{suffix}"
    rewrite(lora, lambda tensors: {key: tensor for key, tensor in tensors.items() if key != name})
    with pytest.raises(ModelError, match=f"the first mismatch is {name}"):
        load(lora, base_model=gemma_models.base)


def test_adapter_with_an_unknown_tensor_is_refused(gemma_models: GemmaModels, lora: Path) -> None:
    name = f"{LAYER}99.mlp.up_proj.lora_A.weight"
    rewrite(lora, lambda tensors: {**tensors, name: next(iter(tensors.values())).clone()})
    with pytest.raises(ModelError, match=f"the first mismatch is {name}"):
        load(lora, base_model=gemma_models.base)


def test_adapter_with_another_rank_is_refused(gemma_models: GemmaModels, lora: Path) -> None:
    configure(lora / "adapter_config.json", r=3)
    with pytest.raises(
        ModelError, match="the adapter in keys does not fit its base model: their sizes differ"
    ):
        load(lora, base_model=gemma_models.base)


def test_adapter_is_refused_with_a_base_model_of_another_size(
    gemma_models: GemmaModels, lora: Path, tmp_path: Path
) -> None:
    other = other_base(gemma_models.base, tmp_path / "other", intermediate_size=96)
    with pytest.raises(
        ModelError, match="the adapter in keys does not fit its base model: their sizes differ"
    ):
        load(lora, base_model=other)


def test_adapter_for_unknown_layers_is_refused(gemma_models: GemmaModels, lora: Path) -> None:
    configure(lora / "adapter_config.json", target_modules=["nowhere"])
    with pytest.raises(ModelError, match="the layers that it changes are not there"):
        load(lora, base_model=gemma_models.base)


@pytest.mark.parametrize("precision", ["fp32", "nf4"])
def test_unused_tensors_of_adapters_from_older_transformers_are_ignored(
    gemma_models: GemmaModels, lora: Path, precision: str
) -> None:
    """Add tensors that adapters from older versions of transformers contain.

    They belong to projections of layers that share keys and values. Nothing used these projections,
    so the tensors must change nothing.
    """
    shared = (
        json.loads((gemma_models.base / "config.json").read_text())["text_config"][
            "num_hidden_layers"
        ]
        - 1
    )
    extra = [
        f"{LAYER}{shared}.self_attn.{part}_proj.lora_{side}.weight"
        for part in "kv"
        for side in "AB"
    ]
    before = logits(load(lora, precision, base_model=gemma_models.base))
    rewrite(
        lora,
        lambda tensors: tensors | {name: next(iter(tensors.values())).clone() for name in extra},
    )
    assert (logits(load(lora, precision, base_model=gemma_models.base)) - before).abs().max() < 1e-5


def other_base(base: Path, folder: Path, **text: object) -> Path:
    """Create a base model with other sizes in its text configuration, and random weights."""
    from keylike.readers.gemma.with_transformers import prepare

    prepare()
    from transformers import Gemma3nConfig, Gemma3nForConditionalGeneration

    shutil.copytree(base, folder)
    (folder / "model.safetensors").unlink()
    configure(folder / "config.json", "text_config", **text)
    model = Gemma3nForConditionalGeneration(
        Gemma3nConfig.from_pretrained(str(folder), local_files_only=True)
    )
    model.save_pretrained(str(folder))
    return folder
