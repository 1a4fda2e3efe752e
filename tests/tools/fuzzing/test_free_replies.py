"""Test of random model replies: a reading has a possible code whose digits are in the text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from keylike.keys.bitting import Bitting
from keylike.keys.keyways import keyway
from keylike.readers.contract import Reading
from keylike.readers.gemma.answer import answer
from tests.readers.gemma.test_free import MANIFEST, score

pytestmark = pytest.mark.gemma
PIECES = (
    "KEYWAY", "BITTING", "BRAND", "Code", "SC1", "KW1", "WR5", "NONE", ":", "=", " ", ", ", ",",
    "\n", "2,5,4,7,3", "25473", "0,9,0,9,0", "1,7,1,7,1", "99999", "10", "0", "9", "-", "*",
    "The code is ", "KEYWAY: SC1\n", "KEYWAY: KW1\n", "BITTING: ",
)  # fmt: skip
CODES = st.lists(st.integers(0, 10), min_size=4, max_size=7).map(
    lambda codes: ",".join(map(str, codes))
)
TEXTS = st.lists(st.sampled_from(PIECES) | CODES, min_size=1, max_size=8).map("".join)


@given(TEXTS, st.booleans())
@settings(max_examples=300, deadline=None)
def test_reading_from_a_random_reply_has_a_possible_code(text: str, finished: bool) -> None:
    result = answer(score(text, finished=finished), MANIFEST, 20.0)
    if isinstance(result, Reading):
        assert Bitting(keyway(result.keyway), result.codes).valid
        assert all(Bitting(keyway(result.keyway), other.codes).valid for other in result.candidates)
        assert "".join(map(str, result.codes)) in "".join(
            letter for letter in text if letter.isdigit()
        )
        assert 0 <= result.confidence <= 1
