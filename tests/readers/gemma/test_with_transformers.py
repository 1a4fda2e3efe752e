"""Tests of loading Gemma folders with transformers: every form loads, damaged ones are refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keylike.errors import ModelError
from keylike.readers.gemma.folder import inspect
from keylike.readers.model_files import MANIFEST
from tests.gemma_models import GemmaModels, environment
from tests.readers.gemma.first_logits import load, logits

pytestmark = pytest.mark.gemma


@pytest.fixture
def merged(gemma_models: GemmaModels, tmp_path: Path) -> Path:
    """Return a copy of the merged model, without the manifest whose hashes would detect changes."""
    folder = shutil.copytree(gemma_models.merged, tmp_path / "keys")
    (folder / MANIFEST).unlink()
    return folder


@pytest.mark.parametrize(
    ("form", "requested", "expected"),
    [
        ("base", "fp32", "fp32"),
        ("lora", "fp32", "fp32"),
        ("lora", "nf4", "nf4"),
        ("merged", "bf16", "bf16"),
        ("merged", "nf4", "nf4"),
        ("nf4", "auto", "nf4"),
    ],
)
def test_each_form_loads_in_the_expected_precision(
    gemma_models: GemmaModels, form: str, requested: str, expected: str
) -> None:
    import torch

    loaded = load(getattr(gemma_models, form), requested, base_model=gemma_models.base)
    assert (loaded.backend, loaded.precision) == ("transformers", expected)
    assert loaded.device in ("cpu", "cuda:0", "mps")
    assert loaded.model.dtype == (torch.float32 if expected == "fp32" else torch.bfloat16)
    assert not loaded.model.training and not any(
        weight.requires_grad for weight in loaded.model.parameters()
    )
    assert any(type(module).__name__ == "Linear4bit" for module in loaded.model.modules()) == (
        expected == "nf4"
    )
    assert torch.isfinite(logits(loaded)).all()


def test_merged_model_gives_the_same_logits_as_adapter_and_base(gemma_models: GemmaModels) -> None:
    forms = (gemma_models.base, gemma_models.lora, gemma_models.merged)
    base, lora, merged = (logits(load(folder, base_model=gemma_models.base)) for folder in forms)
    assert (lora - merged).abs().max() < 1e-3
    assert (lora - base).abs().max() > 0.1


def test_model_stored_in_4_bits_equals_one_quantised_while_loading(
    gemma_models: GemmaModels,
) -> None:
    stored, converted = load(gemma_models.nf4, "auto"), load(gemma_models.merged, "nf4")
    assert (logits(stored) - logits(converted)).abs().max() < 1e-2


def test_only_text_layers_are_quantised_to_4_bits(gemma_models: GemmaModels) -> None:
    loaded = load(gemma_models.merged, "nf4")
    quantised = {
        name
        for name, module in loaded.model.named_modules()
        if type(module).__name__ == "Linear4bit"
    }
    assert {name.rpartition(".")[2] for name in quantised} == {
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    }
    assert all("language_model.layers." in name for name in quantised)


def test_split_weights_load_the_same_unless_a_file_is_missing(
    gemma_models: GemmaModels, merged: Path
) -> None:
    single = logits(load(gemma_models.merged))
    split_into_shards(merged)
    assert (logits(load(merged)) - single).abs().max() < 1e-5
    next(iter(sorted(merged.glob("model-*.safetensors")))).unlink()
    with pytest.raises(ModelError, match="weight files are missing, the first is model-00001"):
        load(merged)


def _change_weights(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Return a function that changes the weights of a folder and saves them as a valid file."""

    def damage(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return damage


def _write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def _wider_text(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["hidden_size_per_layer_input"] *= 2
    (folder / "config.json").write_text(json.dumps(config))


NORM = "model.language_model.norm.weight"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            _change_weights(lambda weights: weights.pop(NORM)),
            f"^keys lacks 1 of the model's weights.* first is {NORM}$",
        ),
        (
            _change_weights(lambda weights: weights.update({NORM: weights[NORM][:5].clone()})),
            f"^keys lacks 1 .* another size; .* {NORM}$",
        ),
        (_wider_text, "^keys lacks [0-9]+ of the model's weights or has them in another size"),
        (
            _write("config.json", '{"model_type": "gemma3n", "text_config": 7}'),
            r"^keys cannot be loaded \(\w+\)$",
        ),
        (
            _write("tokenizer.json", "{}"),
            r"^the tokenizer and processor in keys cannot be loaded \(\w+\)$",
        ),
    ],
)
def test_damaged_gemma_model_is_refused(
    merged: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(merged)
    with pytest.raises(ModelError, match=message):
        load(merged)


def test_model_stored_in_4_bits_cannot_be_loaded_as_bf16(gemma_models: GemmaModels) -> None:
    with pytest.raises(ModelError, match="nf4 is stored in 4 bits"):
        load(gemma_models.nf4, "bf16")


PROGRAM = """
import os, sys; sys.path[:0] = {path!r}
from pathlib import Path
from tests.readers.gemma.first_logits import load
load(Path({lora!r}), base_model=Path({base!r}))
assert os.environ["HF_HUB_OFFLINE"] == os.environ["TRANSFORMERS_OFFLINE"] == "1"
"""


def test_loading_uses_no_network_and_prints_nothing(gemma_models: GemmaModels) -> None:
    """Load in a process of its own, because libraries print some messages only on import."""
    program = PROGRAM.format(
        path=sys.path, lora=str(gemma_models.lora), base=str(gemma_models.base)
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def split_into_shards(folder: Path) -> None:
    """Split the weights of a folder into several files."""
    from keylike.readers.gemma.with_transformers import prepare

    prepare()
    from transformers import Gemma3nForConditionalGeneration

    assert not inspect(folder, base_model=None, models=None).quantised
    model = Gemma3nForConditionalGeneration.from_pretrained(str(folder), local_files_only=True)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(str(folder), max_shard_size="2MB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
