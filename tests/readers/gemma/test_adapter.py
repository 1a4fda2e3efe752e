"""An adapter goes onto its base whole or not at all: PEFT would serve the base, or chance, and only warn."""

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
from tests.readers.gemma.asked import load, logits

pytestmark = pytest.mark.gemma

LAYER = "base_model.model.model.language_model.layers."


@pytest.fixture
def lora(gemma_models: GemmaModels, tmp_path: Path) -> Path:
    """An adapter folder that may be spoilt, without a manifest that would tell so first."""
    folder = shutil.copytree(gemma_models.lora, tmp_path / "keys")
    (folder / MANIFEST).unlink()
    return folder


def rewrite(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Other tensors in a file that is whole."""
    from safetensors.torch import load_file, save_file

    path = folder / "adapter_model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def configure(path: Path, part: str | None = None, **values: object) -> None:
    """Sets values in a JSON file, or in a table of it."""
    config = json.loads(path.read_text())
    (config[part] if part else config).update(values)
    path.write_text(json.dumps(config))


def test_keys_of_another_layout(gemma_models: GemmaModels, lora: Path) -> None:
    rewrite(
        lora,
        lambda held: {
            name.replace("model.language_model", "language_model.model"): each
            for name, each in held.items()
        },
    )
    with pytest.raises(
        ModelError,
        match=r"keys/adapter_model.safetensors does not fit its base model: it holds \d+ tensors.* only 0 agree",
    ):
        load(lora, base_model=gemma_models.base)


@pytest.mark.parametrize("suffix", ["lora_A.weight", "lora_B.weight"])
def test_a_tensor_missing(gemma_models: GemmaModels, lora: Path, suffix: str) -> None:
    name = f"{LAYER}0.self_attn.q_proj.{suffix}"
    rewrite(lora, lambda held: {key: each for key, each in held.items() if key != name})
    with pytest.raises(ModelError, match=f"the first that does not is {name}"):
        load(lora, base_model=gemma_models.base)


def test_a_tensor_too_many(gemma_models: GemmaModels, lora: Path) -> None:
    name = f"{LAYER}99.mlp.up_proj.lora_A.weight"
    rewrite(lora, lambda held: {**held, name: next(iter(held.values())).clone()})
    with pytest.raises(ModelError, match=f"the first that does not is {name}"):
        load(lora, base_model=gemma_models.base)


def test_another_rank(gemma_models: GemmaModels, lora: Path) -> None:
    configure(lora / "adapter_config.json", r=3)
    with pytest.raises(
        ModelError, match="the adapter in keys does not fit its base model: their sizes differ"
    ):
        load(lora, base_model=gemma_models.base)


def test_base_of_another_size(gemma_models: GemmaModels, lora: Path, tmp_path: Path) -> None:
    other = other_base(gemma_models.base, tmp_path / "other", intermediate_size=96)
    with pytest.raises(
        ModelError, match="the adapter in keys does not fit its base model: their sizes differ"
    ):
        load(lora, base_model=other)


def test_layers_that_the_base_does_not_have(gemma_models: GemmaModels, lora: Path) -> None:
    configure(lora / "adapter_config.json", target_modules=["nowhere"])
    with pytest.raises(ModelError, match="the layers that it changes are not there"):
        load(lora, base_model=gemma_models.base)


@pytest.mark.parametrize("precision", ["fp32", "nf4"])
def test_idle_projections_of_older_versions(
    gemma_models: GemmaModels, lora: Path, precision: str
) -> None:
    """Layers that share keys and values once had projections of their own, which nothing used; adapters for them change nothing."""
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
    rewrite(lora, lambda held: held | {name: next(iter(held.values())).clone() for name in extra})
    assert (logits(load(lora, precision, base_model=gemma_models.base)) - before).abs().max() < 1e-5


def other_base(base: Path, folder: Path, **text: object) -> Path:
    """The base with other sizes and weights by chance."""
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
