"""Tests of training batches: same prompt, loss only on the reply, and the reader's squares."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from keylike.images.photo import open_photo
from keylike.readers.caliper.reader import CaliperReader
from keylike.readers.gemma.manifest import Prompt, gemma_manifest
from keylike.readers.gemma.picture import Framer
from keylike.readers.gemma.slots import build_layout, end_of_turn, reply_ids
from tests.gemma_models import ROOT, SIDE, GemmaModels
from tools.training.gemma_batches import IGNORED, Collator, Example, frame
from tools.training.gemma_data import REPLIES, reply_for

pytestmark = pytest.mark.gemma


@pytest.fixture
def table(gemma_models: GemmaModels) -> dict[str, Any]:
    """Return the manifest of the fine-tuned adapter."""
    return tomllib.loads((gemma_models.lora / "manifest.toml").read_text())


@pytest.fixture
def framer(table: dict[str, Any]) -> Framer:
    """Return the framer that the reader uses, which crops the key to a square."""
    return Framer(gemma_manifest(table).picture, CaliperReader.load(ROOT / "models" / "caliper"))


@pytest.fixture
def processor(gemma_models: GemmaModels) -> Any:
    """Return the tokenizer and processor of the fine-tuned model."""
    from keylike.readers.gemma.with_transformers import load_processor, prepare

    prepare()
    return load_processor(gemma_models.lora)


@pytest.fixture
def examples(gemma_models: GemmaModels, framer: Framer, tmp_path: Path) -> list[Example]:
    """Return training examples: all photos of `gemma_models` with their short replies."""
    squares = frame(gemma_models.shots, framer, SIDE, tmp_path / "squares")
    return [
        Example(square, reply_for(shot, "short"))
        for square, shot in zip(squares, gemma_models.shots, strict=True)
    ]


def test_prompt_of_a_training_batch_is_the_same_for_every_key(
    processor: Any, examples: list[Example]
) -> None:
    batch, tokenizer = Collator(processor, Prompt())(examples), processor.tokenizer
    rows = zip(batch["input_ids"], batch["labels"], strict=True)
    prompts = [ids[: int((labels != IGNORED).nonzero()[0])] for ids, labels in rows]
    texts = {tokenizer.decode(ids) for ids in prompts}
    assert len(texts) == 1
    assert not set("0123456789") & set(texts.pop())


def test_training_labels_are_only_the_reply_and_the_end_of_turn(
    processor: Any, examples: list[Example]
) -> None:
    batch, tokenizer = Collator(processor, Prompt())(examples), processor.tokenizer
    for example, ids, labels, mask in zip(
        examples, batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True
    ):
        labelled = labels != IGNORED
        assert (
            labels[labelled].tolist()
            == ids[labelled].tolist()
            == list(reply_ids(tokenizer, example.reply))
        )
        assert labels[labelled][-1] == end_of_turn(tokenizer)
        assert tokenizer.decode(labels[labelled][:-1]) == example.reply
        # After the reply there is only padding, which is masked.
        assert (
            not mask[int(labelled.nonzero()[-1]) + 1 :].any()
            and mask[: int(labelled.nonzero()[-1]) + 1].all()
        )
    assert len({int((mask == 1).sum()) for mask in batch["attention_mask"]}) > 1


def test_training_squares_equal_those_of_the_reader(
    gemma_models: GemmaModels, framer: Framer, examples: list[Example]
) -> None:
    for example, shot in zip(examples, gemma_models.shots, strict=True):
        read = framer.frame(open_photo(shot.path.read_bytes()).pixels, SIDE).square
        assert np.array_equal(np.asarray(Image.open(example.square)), np.asarray(read))


@pytest.mark.parametrize("shape", list(REPLIES))
def test_trained_reply_has_the_tokens_that_slot_decoding_expects(
    shape: str, gemma_models: GemmaModels, table: dict[str, Any], processor: Any
) -> None:
    layout = build_layout(gemma_manifest({**table, "reply": REPLIES[shape]}), processor.tokenizer)
    options_by_name = {
        option.keyway.name if option.keyway else "none": option for option in layout.options
    }
    for shot in gemma_models.shots:
        labelled, option = (
            reply_ids(processor.tokenizer, reply_for(shot, shape)),
            options_by_name[shot.keyway],
        )
        opening = layout.common + option.head
        assert labelled[: len(opening)] == opening
        if shot.codes:
            after = len(opening) + 2 * len(shot.codes) - 1
            assert labelled[after] == option.stop
            assert (
                tuple(
                    option.digits[i][labelled[len(opening) + 2 * i]] for i in range(len(shot.codes))
                )
                == shot.codes
            )
