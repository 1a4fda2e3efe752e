"""Tests that slot decoding gives the same probabilities as one pass over the whole reply."""

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
    """Return a manifest with slots for these keyways."""
    return GemmaManifest(
        name="tiny", version="1", kind="gemma-merged", keyways=keyways, reply=ReplyShape(**reply)
    )


ALL = manifest("SC1", "SC4", "KW1", "Y1", none="NONE", beams=6)
LINE = manifest("SC1", template="BITTING: {bitting}", beams=3)


@pytest.fixture(scope="module")
def loaded(gemma_models: GemmaModels) -> Any:
    """Load the base model. It is not trained, so its probabilities are far from 0 and 1."""
    from keylike.readers.gemma.backends import choose
    from keylike.readers.gemma.folder import inspect

    return choose("transformers").load(
        inspect(gemma_models.base, base_model=None, models=None), "fp32"
    )


def inputs(loaded: Any, spec: GemmaManifest, *seeds: int) -> Any:
    """Return model inputs of prompts, each with a picture of noise."""
    from keylike.readers.gemma.prompt import prompt_inputs

    side = loaded.processor.image_processor.size["height"]
    squares = [
        Image.fromarray(
            np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
        )
        for seed in seeds
    ]
    return prompt_inputs(loaded.processor, spec.prompt, squares)


def score(loaded: Any, spec: GemmaManifest, *seeds: int) -> list[Scores]:
    """Return the scores of slot decoding for pictures of noise."""
    from keylike.readers.gemma.search import read_slots
    from keylike.readers.gemma.slots import build_layout

    return read_slots(
        loaded.model,
        inputs(loaded, spec, *seeds),
        build_layout(spec, loaded.processor.tokenizer),
        spec.reply.beams,
    )


def log_probabilities(
    loaded: Any, spec: GemmaManifest, seed: int, choice: Choice
) -> tuple[list[int], Any]:
    """Run the model once over the prompt and the whole reply.

    Returns:
        The tokens of the reply, and the log-probabilities at each of them, with the shape (number
        of tokens, size of the vocabulary).
    """
    from keylike.readers.gemma.prompt import reply_text
    from keylike.readers.gemma.slots import reply_ids

    prompt = inputs(loaded, spec, seed)
    tokens = reply_ids(
        loaded.processor.tokenizer, reply_text(spec.reply, choice.keyway, choice.codes)
    )
    reply = torch.tensor([tokens])
    ids = torch.cat([prompt["input_ids"], reply], 1)
    types = torch.cat([prompt["token_type_ids"], torch.zeros_like(reply)], 1)
    with torch.inference_mode():
        answer = loaded.model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            token_type_ids=types,
            pixel_values=prompt["pixel_values"],
        )
    return list(tokens), answer.logits[0, -len(tokens) - 1 : -1].float().log_softmax(-1)


@pytest.mark.parametrize("spec", [ALL, LINE], ids=["keyways", "one_keyway"])
def test_slot_probabilities_equal_those_of_one_pass_over_the_reply(
    loaded: Any, spec: GemmaManifest
) -> None:
    digit_of = {
        loaded.processor.tokenizer.convert_tokens_to_ids(str(number)): number
        for number in range(10)
    }
    checked = 0
    for choice in score(loaded, spec, 7)[0].choices:
        tokens, after = log_probabilities(loaded, spec, 7, choice)
        # The first digits of the reply belong to the name of the keyway, the last ones to the cuts.
        positions = [position for position, token in enumerate(tokens) if token in digit_of][
            -len(choice.codes) :
        ]
        for position, code, slot in zip(positions, choice.codes, choice.digits, strict=True):
            allowed = [
                token
                for token, number in digit_of.items()
                if choice.keyway != "KW1" or 1 <= number <= 7
            ]
            probabilities = after[position][allowed].softmax(-1)
            assert float(probabilities[allowed.index(tokens[position])]) == pytest.approx(
                slot.probability, abs=1e-5
            )
            assert digit_of[tokens[position]] == code
            checked += 1
    assert checked >= 15


def test_slot_decoding_of_a_batch_equals_that_of_single_photos(loaded: Any) -> None:
    together = score(loaded, ALL, 1, 2, 3)
    singly = [score(loaded, ALL, seed)[0] for seed in (1, 2, 3)]
    for batched, single in zip(together, singly, strict=True):
        assert [(choice.keyway, choice.codes) for choice in batched.choices] == [
            (choice.keyway, choice.codes) for choice in single.choices
        ]
        assert [choice.probability for choice in batched.choices] == pytest.approx(
            [c.probability for c in single.choices], rel=1e-3
        )
        assert batched.no_key == pytest.approx(single.no_key, rel=1e-3)


def test_wide_beam_search_finds_all_likely_codes(loaded: Any) -> None:
    """Search with 32 beams for a keyway with two depths and five cuts, which has 32 codes."""
    two = GemmaManifest(
        name="tiny",
        version="1",
        kind="gemma-merged",
        keyways=("SC1",),
        depths={"SC1": {1: 1, 2: 2}},
        reply=ReplyShape(beams=32),
    )
    (scores,) = score(loaded, two, 5)
    assert len({choice.codes for choice in scores.choices}) == len(scores.choices) > 8
    assert math.fsum(choice.probability for choice in scores.choices) == pytest.approx(1, abs=32e-5)


def test_probabilities_of_keyways_and_no_key_sum_to_one(loaded: Any) -> None:
    (scores,) = score(loaded, ALL, 9)
    keyways = scores.choices[0].other_slots[0]
    assert math.fsum(keyways.probabilities) == pytest.approx(1, abs=1e-5)
    assert keyways.probabilities[-1] == pytest.approx(scores.no_key)
    assert 0 < scores.mass < 1


def test_codes_of_the_search_are_ranked_and_obey_the_macs(loaded: Any) -> None:
    for scores in score(loaded, manifest("KW1", "Y1", beams=16), 11, 12):
        ranked = [choice.probability for choice in scores.choices]
        assert ranked == sorted(ranked, reverse=True)
        for choice in scores.choices:
            limit = {"KW1": 4, "Y1": 7}[choice.keyway]
            assert all(
                abs(a - b) <= limit for a, b in zip(choice.codes, choice.codes[1:], strict=False)
            )


def test_end_of_the_code_is_scored_for_a_keyway_with_two_lengths(loaded: Any) -> None:
    (scores,) = score(loaded, manifest("Y1", beams=8), 3)
    assert {len(choice.codes) for choice in scores.choices} <= {5, 6}
    for choice in scores.choices:
        (stop,) = choice.other_slots
        assert math.fsum(stop.probabilities) == pytest.approx(1, abs=1e-5)
        assert stop.chosen == (0 if len(choice.codes) == 5 else 1)


def test_model_output_that_is_not_a_number_gives_no_code(
    loaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keylike.readers.contract import Reason, Unreadable
    from keylike.readers.gemma.answer import answer

    with monkeypatch.context() as broken:
        broken.setattr(
            loaded.model.lm_head,
            "forward",
            lambda states: torch.full((*states.shape[:2], 784), float("nan")),
        )
        (scores,) = score(loaded, ALL, 1)
    refusal = answer(scores, ALL, None)
    assert isinstance(refusal, Unreadable) and refusal.reason is Reason.NO_CODE_IN_REPLY
