"""Every form of folder loads with transformers, whole and in the precision it says; one that is not whole is refused by name."""

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
from tests.readers.gemma.asked import load, logits

pytestmark = pytest.mark.gemma


@pytest.fixture
def merged(gemma_models: GemmaModels, tmp_path: Path) -> Path:
    """A merged folder that may be spoilt, without a manifest that would tell so first."""
    folder = shutil.copytree(gemma_models.merged, tmp_path / "keys")
    (folder / MANIFEST).unlink()
    return folder


@pytest.mark.parametrize(
    ("form", "asked", "held"),
    [
        ("base", "fp32", "fp32"),
        ("lora", "fp32", "fp32"),
        ("lora", "nf4", "nf4"),
        ("merged", "bf16", "bf16"),
        ("merged", "nf4", "nf4"),
        ("nf4", "auto", "nf4"),
    ],
)
def test_forms_and_precisions(gemma_models: GemmaModels, form: str, asked: str, held: str) -> None:
    import torch

    loaded = load(getattr(gemma_models, form), asked, base_model=gemma_models.base)
    assert (loaded.backend, loaded.precision) == ("transformers", held)
    assert loaded.device in ("cpu", "cuda:0", "mps")
    assert loaded.model.dtype == (torch.float32 if held == "fp32" else torch.bfloat16)
    assert not loaded.model.training and not any(
        weight.requires_grad for weight in loaded.model.parameters()
    )
    assert any(type(part).__name__ == "Linear4bit" for part in loaded.model.modules()) == (
        held == "nf4"
    )
    assert torch.isfinite(logits(loaded)).all()


def test_merged_says_what_the_adapter_says(gemma_models: GemmaModels) -> None:
    forms = (gemma_models.base, gemma_models.lora, gemma_models.merged)
    base, lora, merged = (logits(load(folder, base_model=gemma_models.base)) for folder in forms)
    assert (lora - merged).abs().max() < 1e-3
    assert (lora - base).abs().max() > 0.1


def test_4_bits_stored_and_4_bits_made_are_the_same(gemma_models: GemmaModels) -> None:
    stored, made = load(gemma_models.nf4, "auto"), load(gemma_models.merged, "nf4")
    assert (logits(stored) - logits(made)).abs().max() < 1e-2


def test_only_the_text_layers_are_held_in_4_bits(gemma_models: GemmaModels) -> None:
    loaded = load(gemma_models.merged, "nf4")
    small = {
        name for name, part in loaded.model.named_modules() if type(part).__name__ == "Linear4bit"
    }
    assert {name.rpartition(".")[2] for name in small} == {
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    }
    assert all("language_model.layers." in name for name in small)


def test_shards(gemma_models: GemmaModels, merged: Path) -> None:
    whole = logits(load(gemma_models.merged))
    in_shards(merged)
    assert (logits(load(merged)) - whole).abs().max() < 1e-5
    next(iter(sorted(merged.glob("model-*.safetensors")))).unlink()
    with pytest.raises(ModelError, match="files of weights are missing, the first is model-00001"):
        load(merged)


def _rewritten(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Spoils the weights in a way that leaves the file whole."""

    def spoil(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return spoil


def _saying(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def _wider_text(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["hidden_size_per_layer_input"] *= 2
    (folder / "config.json").write_text(json.dumps(config))


NORM = "model.language_model.norm.weight"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            _rewritten(lambda weights: weights.pop(NORM)),
            f"^keys lacks 1 of the model's weights.* first is {NORM}$",
        ),
        (
            _rewritten(lambda weights: weights.update({NORM: weights[NORM][:5].clone()})),
            f"^keys lacks 1 .* another size; .* {NORM}$",
        ),
        (_wider_text, "^keys lacks [0-9]+ of the model's weights, or has them in another size"),
        (
            _saying("config.json", '{"model_type": "gemma3n", "text_config": 7}'),
            r"^keys cannot be loaded \(\w+\)$",
        ),
        (
            _saying("tokenizer.json", "{}"),
            r"^the tokenizer and processor in keys cannot be loaded \(\w+\)$",
        ),
    ],
)
def test_not_whole(merged: Path, spoil: Callable[[Path], object], told: str) -> None:
    spoil(merged)
    with pytest.raises(ModelError, match=told):
        load(merged)


def test_stored_in_4_bits_cannot_be_asked_for_in_16(gemma_models: GemmaModels) -> None:
    with pytest.raises(ModelError, match="nf4 is stored in 4 bits"):
        load(gemma_models.nf4, "bf16")


LOADED = """
import os, sys; sys.path[:0] = {path!r}
from pathlib import Path
from tests.readers.gemma.asked import load
load(Path({lora!r}), base_model=Path({base!r}))
assert os.environ["HF_HUB_OFFLINE"] == os.environ["TRANSFORMERS_OFFLINE"] == "1"
"""


def test_offline_and_quiet(gemma_models: GemmaModels) -> None:
    """In a process of its own: some of what the libraries say, they say once, as they are imported."""
    program = LOADED.format(path=sys.path, lora=str(gemma_models.lora), base=str(gemma_models.base))
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def in_shards(folder: Path) -> None:
    """Writes a folder's weights anew, in several files."""
    from keylike.readers.gemma.with_transformers import prepare

    prepare()
    from transformers import Gemma3nForConditionalGeneration

    assert not inspect(folder, base_model=None, models=None).quantised
    model = Gemma3nForConditionalGeneration.from_pretrained(str(folder), local_files_only=True)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(str(folder), max_shard_size="2MB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
