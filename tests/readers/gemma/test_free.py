"""Free replies: the code from the text, its probability from the tokens that wrote it, and nothing where there is none."""

from __future__ import annotations

import math

import pytest

from keylike.readers.gemma.manifest import GemmaManifest, ReplyShape
from keylike.readers.gemma.model_output import Scores, Trust
from tests.readers.gemma.words import Words

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.gemma

MANIFEST = GemmaManifest(name="tiny", version="1", kind="gemma-merged", keyways=("SC1", "KW1"))
LONG = "KEYWAY: SC1\nBITTING: 2,5,4,7,3\nBRAND: Schlage\nCONFIDENCE: 0.87\nPRODUCTION: 30000000\nCOMPLEXITY: 55"


class Tokens(Words):
    """The character tokenizer with what a real one offers besides."""

    unk_token_id = 3

    def convert_ids_to_tokens(self, token: int) -> str:
        """The text of one token."""
        return self.text([token])


def heard(
    text: str,
    how: GemmaManifest = MANIFEST,
    doubts: dict[int, dict[str, float]] | None = None,
    finished: bool = True,
) -> Scores:
    """What is made of a text written one character a token; `doubts`: at which place which other characters had which share."""
    from keylike.readers.gemma import free

    tokens = Tokens()
    logits = torch.full((len(text), 128), -60.0)
    for place, letter in enumerate(text):
        shares = {letter: 1.0, **(doubts or {}).get(place, {})}
        shares[letter] = 1 - sum(share for other, share in shares.items() if other != letter)
        for other, share in shares.items():
            logits[place, ord(other)] = math.log(share)
    written = free.Written(
        tuple(map(ord, text)), logits, text, tuple(range(1, len(text) + 1)), finished
    )
    return free.hear_written(written, tokens, how)


def test_the_longer_reply() -> None:
    one = heard(LONG)
    (choice,) = one.choices
    assert (choice.keyway, choice.codes, one.trust) == ("SC1", (2, 5, 4, 7, 3), Trust.LABELLED)
    assert choice.probability == pytest.approx(1, abs=1e-6)


def test_a_doubtful_digit_is_weighed_against_the_other_digits() -> None:
    place = LONG.index("7,3")
    (choice,) = heard(LONG, doubts={place: {"6": 0.3, "x": 0.2}}).choices
    assert choice.digits[3].probability == pytest.approx(0.5 / 0.8, abs=1e-4)
    assert choice.probability == pytest.approx(0.5 / 0.8, abs=1e-4)


def test_a_doubtful_keyway_makes_the_whole_doubtful() -> None:
    (choice,) = heard(LONG, doubts={LONG.index("SC1"): {"K": 0.4}}).choices
    assert choice.probability == pytest.approx(0.6, abs=1e-4)


def test_a_loose_run_bears_the_doubt_of_all_that_was_written_before() -> None:
    text = "The code is 2,5,4,7,3."
    one = heard(text, MANIFEST.model_copy(update={"keyways": ("SC1",)}), doubts={4: {"k": 0.5}})
    assert one.trust is Trust.LOOSE
    assert one.choices[0].probability == pytest.approx(0.5, abs=1e-4)


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
def test_no_code(text: str) -> None:
    one = heard(text)
    assert one.choices == () and one.no_key < 0.5


def test_none_is_no_key() -> None:
    assert heard("KEYWAY: NONE").no_key == 1


def test_the_manifests_own_word_for_none_counts_too() -> None:
    own = MANIFEST.model_copy(update={"reply": ReplyShape(none="NOTHING")})
    assert heard("KEYWAY: NOTHING", own).no_key == 1


def test_a_code_that_was_cut_off_is_none() -> None:
    short = LONG[: LONG.index("\nBRAND")]
    assert heard(short).choices
    assert heard(short, finished=False).choices == ()
    assert heard(LONG, finished=False).choices, "the code itself was complete"


def test_another_scale_is_converted() -> None:
    backwards = MANIFEST.model_copy(
        update={"depths": {"SC1": {number: 10 - number for number in range(1, 10)}}}
    )
    (choice,) = heard(LONG, backwards).choices
    assert choice.codes == (8, 5, 6, 3, 7)
    (clear,) = heard(LONG, backwards, doubts={LONG.index("2,5"): {"0": 0.5}}).choices
    assert clear.probability == pytest.approx(1, abs=1e-4), "0 is no number of that scale"


def test_a_token_that_holds_more_than_one_digit_counts_as_it_is() -> None:
    from keylike.readers.gemma import free

    text = "BITTING: 25473"
    tokens = Tokens("25473")
    ids = tokens(text, add_special_tokens=False)["input_ids"]
    logits = torch.full((len(ids), 2_000_002), -60.0)
    for place, token in enumerate(ids):
        logits[place, token] = 0.0
    logits[-1, ord("x")] = 0.0
    ends = tuple(len(tokens.text(ids[: i + 1])) for i in range(len(ids)))
    written = free.Written(tuple(ids), logits, text, ends, True)
    (choice,) = free.hear_written(
        written, tokens, MANIFEST.model_copy(update={"keyways": ("SC1",)})
    ).choices
    assert choice.digits[0].probability == pytest.approx(0.5, abs=1e-4)
