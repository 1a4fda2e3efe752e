"""Tests that the tiny Gemma is a complete model and behaves like a real one."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest

from keylike.readers.gemma.folder import inspect
from keylike.readers.gemma.manifest import Prompt
from keylike.readers.gemma.with_transformers import TransformersBackend, load_processor, prepare
from tests.gemma_models import IMAGE_TOKENS, SIDE, GemmaModels
from tools.training.tiny_gemma import build

pytest.importorskip(
    "transformers", reason="Gemma needs PyTorch and transformers: make test-gemma installs them"
)
pytestmark = pytest.mark.gemma


@pytest.fixture
def processor(gemma_models: GemmaModels) -> Any:
    prepare()
    return load_processor(gemma_models.base)


def test_tiny_gemma_is_accepted_as_a_complete_model(gemma_models: GemmaModels) -> None:
    checkpoint = inspect(gemma_models.base, base_model=None, models=None)
    assert checkpoint.kind == "gemma-merged" and not checkpoint.quantised
    assert sum(path.stat().st_size for path in gemma_models.base.iterdir()) < 10_000_000


def test_tokenizer_of_tiny_gemma_encodes_each_digit_separately(processor: Any) -> None:
    digits = string.digits
    assert processor.tokenizer.tokenize(digits) == list(digits)
    for text in (",".join(digits), "BITTING: 25473", "\n2", "SC1"):
        pieces = processor.tokenizer.tokenize(text)
        assert all(len(piece) == 1 for piece in pieces if set(piece) & set(digits)), pieces


def test_tokenizer_of_tiny_gemma_decodes_what_it_encodes(processor: Any) -> None:
    text = "KEYWAY: SC1\nBITTING: 2,5,4,7,3\nBRAND: Schlage\n  naïve 鍵\n"
    assert (
        processor.tokenizer.decode(processor.tokenizer(text, add_special_tokens=False)["input_ids"])
        == text
    )


def test_tokenizer_of_tiny_gemma_needs_few_tokens_for_a_prompt(processor: Any) -> None:
    assert len(processor.tokenizer.tokenize(Prompt().text)) <= 20
    assert (
        len(processor.tokenizer.tokenize("KEYWAY: SC1\nBITTING: 2,5,4,7,3\nBRAND: Schlage\n")) <= 22
    )


def test_token_ids_of_tiny_gemma_are_in_the_order_of_a_real_one(gemma_models: GemmaModels) -> None:
    config = json.loads((gemma_models.base / "config.json").read_text())
    text, vision, audio = (config[f"{part}_config"] for part in ("text", "vision", "audio"))
    assert (
        text["vocab_size_per_layer_input"]
        == vision["vocab_offset"]
        < audio["vocab_offset"]
        < text["vocab_size"]
    )
    assert max(config["boi_token_id"], config["boa_token_id"]) < vision["vocab_offset"]
    assert vision["vocab_offset"] <= min(config["eoi_token_id"], config["image_token_id"])
    assert max(config["eoi_token_id"], config["image_token_id"]) < audio["vocab_offset"]
    assert audio["vocab_offset"] <= min(config["eoa_token_id"], config["audio_token_id"])


def test_tiny_gemma_is_the_same_for_the_same_seed(
    gemma_models: GemmaModels, tmp_path: Path
) -> None:
    for name, seed in (("same", 0), ("other", 1)):
        build(tmp_path / name, side=SIDE, image_tokens=IMAGE_TOKENS, seed=seed)
    same, other, base = (
        folder / "model.safetensors"
        for folder in (tmp_path / "same", tmp_path / "other", gemma_models.base)
    )
    assert same.read_bytes() == base.read_bytes() != other.read_bytes()


def test_output_of_tiny_gemma_depends_on_the_picture(gemma_models: GemmaModels) -> None:
    import torch
    from PIL import Image

    from keylike.readers.gemma.prompt import prompt_inputs

    loaded = TransformersBackend().load(
        inspect(gemma_models.base, base_model=None, models=None), "fp32"
    )
    squares = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("black", "white")]
    with torch.inference_mode():
        dark, bright = loaded.model(**prompt_inputs(loaded.processor, Prompt(), squares)).logits[
            :, -1
        ]
    assert (dark - bright).abs().max() > 0.5


@pytest.mark.parametrize(("side", "image_tokens"), [(64, 15), (72, 16), (32, 16)])
def test_picture_size_that_does_not_fit_the_tokens_raises_value_error(
    side: int, image_tokens: int, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="square number"):
        build(tmp_path / "model", side=side, image_tokens=image_tokens, seed=0)
    assert not (tmp_path / "model").exists()
