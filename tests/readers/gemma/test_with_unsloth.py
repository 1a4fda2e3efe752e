"""Unsloth says why it cannot load; where there is a GPU, it hears the same as transformers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from readers.gemma.folder import inspect
from tests.gemma_models import GemmaModels, environment
from tests.readers.gemma.asked import load, logits
from utils.errors import ModelError

pytestmark = pytest.mark.gemma


def test_too_late_after_transformers(gemma_models: GemmaModels) -> None:
    pytest.importorskip("transformers")
    if "unsloth" in sys.modules:
        pytest.skip("Unsloth came first")
    from readers.gemma.with_unsloth import UnslothBackend

    with pytest.raises(ModelError, match="Unsloth must be imported before transformers and PEFT"):
        UnslothBackend().load(inspect(gemma_models.merged, base_model=None, models=None), "auto")


def test_weights_are_checked_before_unsloth_reads_them(gemma_models: GemmaModels, tmp_path: Path) -> None:
    """By shapes alone, which needs no GPU: Unsloth itself does not tell what is missing."""
    from safetensors.torch import load_file, save_file

    from readers.gemma.with_transformers import prepare
    from readers.gemma.with_unsloth import check_weights

    prepare()
    check_weights(gemma_models.merged)
    weights = load_file(gemma_models.merged / "model.safetensors")
    del weights["model.language_model.norm.weight"]
    (tmp_path / "config.json").write_bytes((gemma_models.merged / "config.json").read_bytes())
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 of the model's weights.*language_model\.norm\.weight"):
        check_weights(tmp_path)


ASKED = """
import sys; sys.path[:0] = {path!r}
from pathlib import Path
from readers.gemma.backends import choose
from readers.gemma.folder import inspect
from tests.readers.gemma.asked import logits
import torch
loaded = choose("unsloth").load(inspect(Path({folder!r}), base_model=Path({base!r}), models=None), {precision!r})
assert loaded.backend == "unsloth" and loaded.precision == {precision!r} and not loaded.model.training
torch.save(logits(loaded).cpu(), {out!r})
"""


@pytest.mark.gpu
@pytest.mark.parametrize("form", ["lora", "merged"])
def test_hears_what_transformers_hears(gemma_models: GemmaModels, tmp_path: Path, form: str) -> None:
    """In a process of its own, since Unsloth replaces parts of what the other tests use."""
    torch: Any = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    folder, out = getattr(gemma_models, form), tmp_path / "logits.pt"
    program = ASKED.format(path=sys.path, folder=str(folder), base=str(gemma_models.base), precision="bf16", out=str(out))
    done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (torch.load(out) - logits(load(folder, "bf16", gemma_models.base)).cpu()).abs().max() < 0.5
