"""Slot decoding on a real tiny Gemma: the same probabilities as one pass over the whole reply, alone or in a batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

from keylike.readers.gemma.manifest import GemmaManifest, ReplyShape
from keylike.readers.gemma.model_output import Choice, Scores
from tests.gemma_models import GemmaModels

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.gemma


def manifest(*keyways: str, **reply: Any) -> GemmaManifest:
    """Slots for these keyways."""
    return GemmaManifest(
        name="tiny", version="1", kind="gemma-merged", keyways=keyways, reply=ReplyShape(**reply)
    )


ALL = manifest("SC1", "SC4", "KW1", "Y1", none="NONE", beams=6)
LINE = manifest("SC1", template="BITTING: {bitting}", beams=3)


@pytest.fixture(scope="module")
def loaded(gemma_models: GemmaModels) -> Any:
    """The untaught base: nothing it says is sure, so every number counts."""
    from keylike.readers.gemma.backends import choose
    from keylike.readers.gemma.folder import inspect

    return choose("transformers").load(
        inspect(gemma_models.base, base_model=None, models=None), "fp32"
    )


def inputs(loaded: Any, how: GemmaManifest, *seeds: int) -> Any:
    """Prompts with pictures of noise."""
    from keylike.readers.gemma.prompt import prompt_inputs

    side = loaded.processor.image_processor.size["height"]
    squares = [
        Image.fromarray(
            np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
        )
        for seed in seeds
    ]
    return prompt_inputs(loaded.processor, how.prompt, squares)


def hear(loaded: Any, how: GemmaManifest, *seeds: int) -> list[Scores]:
    """Through the slots."""
    from keylike.readers.gemma.search import read_slots
    from keylike.readers.gemma.slots import lay_out

    return read_slots(
        loaded.model,
        inputs(loaded, how, *seeds),
        lay_out(how, loaded.processor.tokenizer),
        how.reply.beams,
    )


def log_probabilities(
    loaded: Any, how: GemmaManifest, seed: int, said: Choice
) -> tuple[list[int], Any]:
    """One teacher-forced pass over the whole reply: its tokens, and the model's log-probabilities (tokens, vocabulary) for each."""
    from keylike.readers.gemma.prompt import reply_text
    from keylike.readers.gemma.slots import reply_ids

    asked = inputs(loaded, how, seed)
    tokens = reply_ids(loaded.processor.tokenizer, reply_text(how.reply, said.keyway, said.codes))
    more = torch.tensor([tokens])
    ids = torch.cat([asked["input_ids"], more], 1)
    types = torch.cat([asked["token_type_ids"], torch.zeros_like(more)], 1)
    with torch.inference_mode():
        answer = loaded.model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            token_type_ids=types,
            pixel_values=asked["pixel_values"],
        )
    return list(tokens), answer.logits[0, -len(tokens) - 1 : -1].float().log_softmax(-1)


@pytest.mark.parametrize("how", [ALL, LINE], ids=["keyways", "one_keyway"])
def test_each_digit_has_the_probability_that_a_whole_pass_gives_it(
    loaded: Any, how: GemmaManifest
) -> None:
    digit_of = {
        loaded.processor.tokenizer.convert_tokens_to_ids(str(number)): number
        for number in range(10)
    }
    checked = 0
    for said in hear(loaded, how, 7)[0].choices:
        tokens, after = log_probabilities(loaded, how, 7, said)
        # The keyway's own digits come before; the cuts are the last so many.
        places = [place for place, token in enumerate(tokens) if token in digit_of][
            -len(said.codes) :
        ]
        for place, code, slot in zip(places, said.codes, said.digits, strict=True):
            allowed = [
                token
                for token, number in digit_of.items()
                if said.keyway != "KW1" or 1 <= number <= 7
            ]
            among = after[place][allowed].softmax(-1)
            assert float(among[allowed.index(tokens[place])]) == pytest.approx(
                slot.probability, abs=1e-5
            )
            assert digit_of[tokens[place]] == code
            checked += 1
    assert checked >= 15


def test_a_batch_says_the_same_as_each_photo_alone(loaded: Any) -> None:
    together = hear(loaded, ALL, 1, 2, 3)
    alone = [hear(loaded, ALL, seed)[0] for seed in (1, 2, 3)]
    for one, other in zip(together, alone, strict=True):
        assert [(choice.keyway, choice.codes) for choice in one.choices] == [
            (choice.keyway, choice.codes) for choice in other.choices
        ]
        assert [choice.probability for choice in one.choices] == pytest.approx(
            [c.probability for c in other.choices], rel=1e-3
        )
        assert one.no_key == pytest.approx(other.no_key, rel=1e-3)


def test_a_wide_beam_finds_all_there_is_and_it_adds_up_to_one(loaded: Any) -> None:
    """Depths 1 and 2 alone leave 32 codes: with a beam of 32 nothing is lost but what is hopeless."""
    two = GemmaManifest(
        name="tiny",
        version="1",
        kind="gemma-merged",
        keyways=("SC1",),
        depths={"SC1": {1: 1, 2: 2}},
        reply=ReplyShape(beams=32),
    )
    (heard,) = hear(loaded, two, 5)
    assert len({choice.codes for choice in heard.choices}) == len(heard.choices) > 8
    assert math.fsum(choice.probability for choice in heard.choices) == pytest.approx(1, abs=32e-5)


def test_keyways_with_a_way_to_say_none_add_up_to_one(loaded: Any) -> None:
    (heard,) = hear(loaded, ALL, 9)
    keyways = heard.choices[0].others[0]
    assert math.fsum(keyways.probabilities) == pytest.approx(1, abs=1e-5)
    assert keyways.probabilities[-1] == pytest.approx(heard.no_key)
    assert 0 < heard.mass < 1


def test_codes_come_ranked_and_none_breaks_macs(loaded: Any) -> None:
    for heard in hear(loaded, manifest("KW1", "Y1", beams=16), 11, 12):
        chances = [choice.probability for choice in heard.choices]
        assert chances == sorted(chances, reverse=True)
        for choice in heard.choices:
            limit = {"KW1": 4, "Y1": 7}[choice.keyway]
            assert all(
                abs(a - b) <= limit for a, b in zip(choice.codes, choice.codes[1:], strict=False)
            )


def test_a_keyway_that_may_stop_early_weighs_the_stop(loaded: Any) -> None:
    (heard,) = hear(loaded, manifest("Y1", beams=8), 3)
    assert {len(choice.codes) for choice in heard.choices} <= {5, 6}
    for choice in heard.choices:
        (stop,) = choice.others
        assert math.fsum(stop.probabilities) == pytest.approx(1, abs=1e-5)
        assert stop.taken == (0 if len(choice.codes) == 5 else 1)


def test_numbers_that_overflowed_are_no_code(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from keylike.readers.contract import Reason, Unreadable
    from keylike.readers.gemma.answer import answer

    with monkeypatch.context() as broken:
        broken.setattr(
            loaded.model.lm_head,
            "forward",
            lambda states: torch.full((*states.shape[:2], 784), float("nan")),
        )
        (heard,) = hear(loaded, ALL, 1)
    refusal = answer(heard, ALL, None)
    assert isinstance(refusal, Unreadable) and refusal.reason is Reason.NO_CODE_IN_REPLY
