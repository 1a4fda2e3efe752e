"""Tests of the Unsloth backend. On machines without a GPU, a fake replaces Unsloth."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from keylike.errors import ModelError
from keylike.readers.gemma.folder import inspect
from tests.gemma_models import GemmaModels, environment
from tests.readers.gemma.first_logits import load, logits

pytestmark = pytest.mark.gemma


def test_unsloth_after_transformers_raises_model_error(gemma_models: GemmaModels) -> None:
    pytest.importorskip("transformers")
    if "unsloth" in sys.modules:
        pytest.skip("Unsloth was imported before transformers")
    from keylike.readers.gemma.with_unsloth import UnslothBackend

    with pytest.raises(ModelError, match="Unsloth must be imported before transformers and PEFT"):
        UnslothBackend().load(inspect(gemma_models.merged, base_model=None, models=None), "auto")


def test_missing_weight_raises_model_error_before_unsloth_loads(
    gemma_models: GemmaModels, tmp_path: Path
) -> None:
    """Check weights by their shapes, without a GPU, because Unsloth reports no missing weights."""
    from safetensors.torch import load_file, save_file

    from keylike.readers.gemma.with_transformers import prepare
    from keylike.readers.gemma.with_unsloth import check_weights

    prepare()
    check_weights(gemma_models.merged)
    weights = load_file(gemma_models.merged / "model.safetensors")
    del weights["model.language_model.norm.weight"]
    (tmp_path / "config.json").write_bytes((gemma_models.merged / "config.json").read_bytes())
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ModelError, match=r"lacks 1 of the model's weights.*language_model\.norm\.weight"
    ):
        check_weights(tmp_path)


# A fake of Unsloth. It checks that it is imported before the other libraries, prints text as
# Unsloth does, and loads the model with transformers.
STAND_IN = """
import sys
assert "transformers" not in sys.modules and "peft" not in sys.modules
print("Unsloth banner")
class FastVisionModel:
    def from_pretrained(
        name,
        *,
        max_seq_length,
        dtype,
        load_in_4bit,
        use_exact_model_name,
        use_gradient_checkpointing,
        local_files_only,
        trust_remote_code,
    ):
        assert use_exact_model_name and local_files_only
        assert not (load_in_4bit or trust_remote_code or use_gradient_checkpointing)
        from transformers import Gemma3nForConditionalGeneration
        print("Unsloth loads")
        load = Gemma3nForConditionalGeneration.from_pretrained
        return load(name, dtype=dtype, local_files_only=True), None
    def for_inference(model):
        return model
"""
PROGRAM = """
import sys; sys.path[:0] = {path!r}
from pathlib import Path
from keylike.readers.gemma.folder import inspect
from keylike.readers.gemma.with_unsloth import UnslothBackend
from tests.readers.gemma.first_logits import logits
checkpoint = inspect(Path({folder!r}), base_model=Path({base!r}), models=None)
loaded = UnslothBackend().load(checkpoint, {precision!r})
assert loaded.backend == "unsloth" and loaded.precision == {precision!r}
assert not loaded.model.training
assert not any(weight.requires_grad for weight in loaded.model.parameters())
import torch
torch.save(logits(loaded).cpu(), {out!r})
"""


def unsloth_logits(
    models: GemmaModels, form: str, precision: str, out: Path, *import_paths: Path
) -> Any:
    """Return the logits of a model that Unsloth loads, in a process of its own.

    Unsloth changes the other libraries, so it must not run in this process.

    Args:
        models: Tiny Gemma folders.
        form: Name of the folder to load.
        precision: Precision of the weights.
        out: File to which the process writes the logits.
        import_paths: Folders from which modules are imported first.
    """
    import torch

    path = [*map(str, import_paths), *sys.path]
    program = PROGRAM.format(
        path=path,
        folder=str(getattr(models, form)),
        base=str(models.base),
        precision=precision,
        out=str(out),
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return torch.load(out)


def test_fake_unsloth_loads_an_adapter_and_nothing_is_printed(
    gemma_models: GemmaModels, tmp_path: Path
) -> None:
    """Load an adapter with the fake of Unsloth."""
    (tmp_path / "unsloth.py").write_text(STAND_IN)
    found = unsloth_logits(gemma_models, "lora", "fp32", tmp_path / "logits.pt", tmp_path)
    assert (
        found - logits(load(gemma_models.lora, "fp32", gemma_models.base)).cpu()
    ).abs().max() < 1e-4


@pytest.mark.gpu
@pytest.mark.parametrize("form", ["lora", "merged"])
def test_unsloth_gives_the_same_logits_as_transformers(
    gemma_models: GemmaModels, tmp_path: Path, form: str
) -> None:
    torch: Any = pytest.importorskip("torch")
    if not torch.cuda.is_available() or find_spec("unsloth") is None:
        pytest.skip("needs an NVIDIA GPU and Unsloth")
    found = unsloth_logits(gemma_models, form, "bf16", tmp_path / "logits.pt")
    assert (
        found - logits(load(getattr(gemma_models, form), "bf16", gemma_models.base)).cpu()
    ).abs().max() < 0.5
