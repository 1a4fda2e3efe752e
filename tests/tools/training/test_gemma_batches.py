"""One step's batch: the same prompt for every key, the loss on the reply alone, and the squares that the reader makes."""

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
from keylike.readers.gemma.slots import end_of_turn, lay_out, reply_ids
from tests.gemma_models import ROOT, SIDE, GemmaModels
from tools.training.gemma_batches import UNTAUGHT, Collator, Lesson, frame
from tools.training.gemma_data import REPLIES, reply_for

pytestmark = pytest.mark.gemma


@pytest.fixture
def table(gemma_models: GemmaModels) -> dict[str, Any]:
    """The taught adapter's manifest."""
    return tomllib.loads((gemma_models.lora / "manifest.toml").read_text())


@pytest.fixture
def framer(table: dict[str, Any]) -> Framer:
    """As the reader has it."""
    return Framer(gemma_manifest(table).picture, CaliperReader.load(ROOT / "models" / "caliper"))


@pytest.fixture
def words(gemma_models: GemmaModels) -> Any:
    """The taught model's tokenizer and processor."""
    from keylike.readers.gemma.with_transformers import prepare, processor

    prepare()
    return processor(gemma_models.lora)


@pytest.fixture
def lessons(gemma_models: GemmaModels, framer: Framer, tmp_path: Path) -> list[Lesson]:
    """All of the fixture's photos, with their short replies."""
    squares = frame(gemma_models.shots, framer, SIDE, tmp_path / "squares")
    return [
        Lesson(square, reply_for(each, "short"))
        for square, each in zip(squares, gemma_models.shots, strict=True)
    ]


def test_collator_prompt_is_the_same_for_every_key(words: Any, lessons: list[Lesson]) -> None:
    batch, tokenizer = Collator(words, Prompt())(lessons), words.tokenizer
    rows = zip(batch["input_ids"], batch["labels"], strict=True)
    untaught = [ids[: int((labels != UNTAUGHT).nonzero()[0])] for ids, labels in rows]
    said = {tokenizer.decode(ids) for ids in untaught}
    assert len(said) == 1
    assert not set("0123456789") & set(said.pop())


def test_collator_labels_cover_only_reply_and_end_of_turn(
    words: Any, lessons: list[Lesson]
) -> None:
    batch, tokenizer = Collator(words, Prompt())(lessons), words.tokenizer
    for lesson, ids, labels, seen in zip(
        lessons, batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True
    ):
        taught = labels != UNTAUGHT
        assert (
            labels[taught].tolist()
            == ids[taught].tolist()
            == list(reply_ids(tokenizer, lesson.reply))
        )
        assert labels[taught][-1] == end_of_turn(tokenizer)
        assert tokenizer.decode(labels[taught][:-1]) == lesson.reply
        # Nothing comes after it but what is not looked at.
        assert (
            not seen[int(taught.nonzero()[-1]) + 1 :].any()
            and seen[: int(taught.nonzero()[-1]) + 1].all()
        )
    assert len({int((seen == 1).sum()) for seen in batch["attention_mask"]}) > 1


def test_frame_squares_equal_the_readers(
    gemma_models: GemmaModels, framer: Framer, lessons: list[Lesson]
) -> None:
    for lesson, each in zip(lessons, gemma_models.shots, strict=True):
        read = framer.frame(open_photo(each.path.read_bytes()).pixels, SIDE).square
        assert np.array_equal(np.asarray(Image.open(lesson.square)), np.asarray(read))


@pytest.mark.parametrize("shape", list(REPLIES))
def test_reply_begins_with_the_slots_prefix(
    shape: str, gemma_models: GemmaModels, table: dict[str, Any], words: Any
) -> None:
    layout = lay_out(gemma_manifest({**table, "reply": REPLIES[shape]}), words.tokenizer)
    ways = {option.keyway.name if option.keyway else "none": option for option in layout.options}
    for each in gemma_models.shots:
        taught, option = reply_ids(words.tokenizer, reply_for(each, shape)), ways[each.keyway]
        opening = layout.common + option.head
        assert taught[: len(opening)] == opening
        if each.codes:
            after = len(opening) + 2 * len(each.codes) - 1
            assert taught[after] == option.stop
            assert (
                tuple(
                    option.digits[i][taught[len(opening) + 2 * i]] for i in range(len(each.codes))
                )
                == each.codes
            )
