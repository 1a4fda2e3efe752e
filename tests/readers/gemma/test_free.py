"""Tests of free replies: the code comes from the text, its probability from the tokens."""

from __future__ import annotations

import math

import pytest

from keylike.readers.gemma.manifest import GemmaManifest, ReplyShape
from keylike.readers.gemma.model_output import Scores, Trust
from tests.readers.gemma.char_tokenizer import CharTokenizer

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.gemma

MANIFEST = GemmaManifest(name="tiny", version="1", kind="gemma-merged", keyways=("SC1", "KW1"))
LONG = """KEYWAY: SC1
BITTING: 2,5,4,7,3
BRAND: Schlage
CONFIDENCE: 0.87
PRODUCTION: 30000000
COMPLEXITY: 55"""


class FullCharTokenizer(CharTokenizer):
    """Character tokenizer with the additional method that free decoding needs."""

    unk_token_id = 3

    def convert_ids_to_tokens(self, token: int) -> str:
        """Return the text of one token."""
        return self.text([token])


def score(
    text: str,
    manifest: GemmaManifest = MANIFEST,
    alternatives: dict[int, dict[str, float]] | None = None,
    finished: bool = True,
) -> Scores:
    """Return the scores of a generated text that has one token per character.

    Args:
        text: Generated text.
        manifest: Manifest of the model.
        alternatives: For positions in the text, other possible characters and their probabilities.
        finished: True if the model ended the text itself, False if it was cut off.
    """
    from keylike.readers.gemma import free

    tokens = FullCharTokenizer()
    logits = torch.full((len(text), 128), -60.0)
    for position, character in enumerate(text):
        shares = {character: 1.0, **(alternatives or {}).get(position, {})}
        shares[character] = 1 - sum(
            share for alternative, share in shares.items() if alternative != character
        )
        for alternative, share in shares.items():
            logits[position, ord(alternative)] = math.log(share)
    generated = free.GeneratedText(
        tuple(map(ord, text)), logits, text, tuple(range(1, len(text) + 1)), finished
    )
    return free.score_text(generated, tokens, manifest)


def test_code_with_a_label_is_found_in_a_long_reply() -> None:
    scores = score(LONG)
    (choice,) = scores.choices
    assert (choice.keyway, choice.codes, scores.trust) == ("SC1", (2, 5, 4, 7, 3), Trust.LABELLED)
    assert choice.probability == pytest.approx(1, abs=1e-6)


def test_probability_of_a_digit_is_relative_to_other_digits() -> None:
    position = LONG.index("7,3")
    (choice,) = score(LONG, alternatives={position: {"6": 0.3, "x": 0.2}}).choices
    assert choice.digits[3].probability == pytest.approx(0.5 / 0.8, abs=1e-4)
    assert choice.probability == pytest.approx(0.5 / 0.8, abs=1e-4)


def test_uncertain_keyway_lowers_the_probability_of_the_code() -> None:
    (choice,) = score(LONG, alternatives={LONG.index("SC1"): {"K": 0.4}}).choices
    assert choice.probability == pytest.approx(0.6, abs=1e-4)


def test_probability_of_a_code_without_a_label_includes_all_earlier_tokens() -> None:
    text = "The code is 2,5,4,7,3."
    scores = score(
        text, MANIFEST.model_copy(update={"keyways": ("SC1",)}), alternatives={4: {"k": 0.5}}
    )
    assert scores.trust is Trust.LOOSE
    assert scores.choices[0].probability == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot see it.",
        "KEYWAY: SC1\nBITTING: 2,5,4,7",
        "KEYWAY: KW1\nBITTING: 1,7,1,7,1",
        "KEYWAY: KW1\nBITTING: 0,1,2,3,4",
        "KEYWAY: WR5\nBITTING: 2,5,4,7,3",
        "BITTING: 2,5,4,3,3",
    ],
    ids=[
        "nothing",
        "no_code",
        "too_few",
        "macs",
        "no_such_depth",
        "untaught_keyway",
        "two_keyways_fit",
    ],
)
def test_reply_without_a_valid_code_has_no_choices(text: str) -> None:
    scores = score(text)
    assert scores.choices == () and scores.no_key < 0.5


def test_reply_with_keyway_none_means_no_key() -> None:
    assert score("KEYWAY: NONE").no_key == 1


def test_reply_with_the_configured_word_for_none_means_no_key() -> None:
    own = MANIFEST.model_copy(update={"reply": ReplyShape(none="NOTHING")})
    assert score("KEYWAY: NOTHING", own).no_key == 1


def test_code_that_may_be_truncated_is_ignored() -> None:
    short = LONG[: LONG.index("\nBRAND")]
    assert score(short).choices
    assert score(short, finished=False).choices == ()
    assert score(LONG, finished=False).choices, (
        "a complete code in a reply that was cut off must be used"
    )


def test_depths_on_another_scale_are_converted() -> None:
    backwards = MANIFEST.model_copy(
        update={"depths": {"SC1": {number: 10 - number for number in range(1, 10)}}}
    )
    (choice,) = score(LONG, backwards).choices
    assert choice.codes == (8, 5, 6, 3, 7)
    (clear,) = score(LONG, backwards, alternatives={LONG.index("2,5"): {"0": 0.5}}).choices
    assert clear.probability == pytest.approx(1, abs=1e-4), (
        "0 is not a depth on that scale, so it must not count"
    )


def test_token_of_several_digits_is_scored_as_a_whole() -> None:
    from keylike.readers.gemma import free

    text = "BITTING: 25473"
    tokens = FullCharTokenizer("25473")
    ids = tokens(text, add_special_tokens=False)["input_ids"]
    logits = torch.full((len(ids), 2_000_002), -60.0)
    for position, token in enumerate(ids):
        logits[position, token] = 0.0
    logits[-1, ord("x")] = 0.0
    ends = tuple(len(tokens.text(ids[: i + 1])) for i in range(len(ids)))
    generated = free.GeneratedText(tuple(ids), logits, text, ends, True)
    (choice,) = free.score_text(
        generated, tokens, MANIFEST.model_copy(update={"keyways": ("SC1",)})
    ).choices
    assert choice.digits[0].probability == pytest.approx(0.5, abs=1e-4)
