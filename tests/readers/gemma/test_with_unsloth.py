"""Unsloth says why it cannot load; where there is a GPU, it hears the same as transformers."""

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
from tests.readers.gemma.asked import load, logits

pytestmark = pytest.mark.gemma


def test_too_late_after_transformers(gemma_models: GemmaModels) -> None:
    pytest.importorskip("transformers")
    if "unsloth" in sys.modules:
        pytest.skip("Unsloth came first")
    from keylike.readers.gemma.with_unsloth import UnslothBackend

    with pytest.raises(ModelError, match="Unsloth must be imported before transformers and PEFT"):
        UnslothBackend().load(inspect(gemma_models.merged, base_model=None, models=None), "auto")


def test_weights_are_checked_before_unsloth_reads_them(
    gemma_models: GemmaModels, tmp_path: Path
) -> None:
    """By shapes alone, which needs no GPU: Unsloth itself does not tell what is missing."""
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


# Takes Unsloth's place where there is none: greets, insists on coming first, and leaves the loading to transformers.
STAND_IN = """
import sys
assert "transformers" not in sys.modules and "peft" not in sys.modules
print("Unsloth greets")
class FastVisionModel:
    def from_pretrained(name, *, max_seq_length, dtype, load_in_4bit, use_exact_model_name, use_gradient_checkpointing,
                        local_files_only, trust_remote_code):
        assert use_exact_model_name and local_files_only and not (load_in_4bit or trust_remote_code or use_gradient_checkpointing)
        from transformers import Gemma3nForConditionalGeneration
        print("Unsloth loads")
        return Gemma3nForConditionalGeneration.from_pretrained(name, dtype=dtype, local_files_only=True), None
    def for_inference(model):
        return model
"""
ASKED = """
import sys; sys.path[:0] = {path!r}
from pathlib import Path
from keylike.readers.gemma.folder import inspect
from keylike.readers.gemma.with_unsloth import UnslothBackend
from tests.readers.gemma.asked import logits
loaded = UnslothBackend().load(inspect(Path({folder!r}), base_model=Path({base!r}), models=None), {precision!r})
assert loaded.backend == "unsloth" and loaded.precision == {precision!r} and not loaded.model.training
assert not any(weight.requires_grad for weight in loaded.model.parameters())
import torch
torch.save(logits(loaded).cpu(), {out!r})
"""


def asked(models: GemmaModels, form: str, precision: str, out: Path, *places: Path) -> Any:
    """What Unsloth hears, in a process of its own: it replaces parts of what the other tests use. `places` are imported from first."""
    import torch

    path = [*map(str, places), *sys.path]
    program = ASKED.format(
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


def test_all_around_unsloth(gemma_models: GemmaModels, tmp_path: Path) -> None:
    """With a stand-in: imported first, nothing on standard output, an explicit base, the adapter put on and checked."""
    (tmp_path / "unsloth.py").write_text(STAND_IN)
    heard = asked(gemma_models, "lora", "fp32", tmp_path / "logits.pt", tmp_path)
    assert (
        heard - logits(load(gemma_models.lora, "fp32", gemma_models.base)).cpu()
    ).abs().max() < 1e-4


@pytest.mark.gpu
@pytest.mark.parametrize("form", ["lora", "merged"])
def test_hears_what_transformers_hears(
    gemma_models: GemmaModels, tmp_path: Path, form: str
) -> None:
    torch: Any = pytest.importorskip("torch")
    if not torch.cuda.is_available() or find_spec("unsloth") is None:
        pytest.skip("needs an NVIDIA GPU and Unsloth")
    heard = asked(gemma_models, form, "bf16", tmp_path / "logits.pt")
    assert (
        heard - logits(load(getattr(gemma_models, form), "bf16", gemma_models.base)).cpu()
    ).abs().max() < 0.5
