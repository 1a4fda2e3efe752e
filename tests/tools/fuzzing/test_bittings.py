"""Tests of bittings and of reply parsing with random input.

No code may be invented, and only expected errors may be raised.
"""

from __future__ import annotations

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keylike.keys.bitting import Bitting, BittingError
from keylike.keys.keyways import keyways
from tests.keys.test_bitting import bittings
from tests.readers.test_reply import ALL, LABELLED, TRAINED, assert_consistent

KEYWAYS = st.sampled_from(list(keyways().values()))
NUMBERS = st.integers() | st.integers(-1, 11)
EDITS = st.lists(
    st.tuples(
        st.integers(0, 200),
        st.integers(0, 3),
        st.text(max_size=3) | st.sampled_from("0123456789,\n: \u0663\u2028*"),
    ),
    max_size=8,
)


@given(bittings() | st.builds(Bitting, KEYWAYS, st.lists(NUMBERS, max_size=9).map(tuple)))
@settings(max_examples=500)
def test_random_bitting_is_valid_or_reports_problems(bitting: Bitting) -> None:
    record, codes = bitting.keyway, bitting.codes
    if bitting.valid:
        order = tuple(record.depths_mm)
        assert len(codes) in record.cut_counts and set(codes) <= set(order)
        assert record.macs is None or all(
            abs(order.index(a) - order.index(b)) <= record.macs for a, b in pairwise(codes)
        )
        bitting.validate()
        assert len(bitting.depths_mm) == len(bitting.levels) == len(codes)
        return
    with pytest.raises(BittingError):
        bitting.validate()
    assert bitting.problems() and all(isinstance(problem, str) for problem in bitting.problems())
    for _ in range(2):
        with contextlib.suppress(BittingError):
            assert all(level >= 0 for level in bitting.levels)


@given(
    KEYWAYS, st.lists(st.sampled_from("0123456789,;- \n\t\u0663\u00b2x."), max_size=40).map("".join)
)
def test_parsing_random_text_keeps_all_digits_or_raises(keyway: object, text: str) -> None:
    try:
        bitting = Bitting.parse(keyway, text)  # type: ignore[arg-type]
    except BittingError:
        return
    digits = "".join(letter for letter in text if letter in "0123456789")
    assert "".join(map(str, bitting.codes)) == digits or any(
        f"0{code}" in text for code in bitting.codes
    )


@given(
    st.sampled_from(list(LABELLED.values())), EDITS, st.sampled_from([TRAINED, ALL]), st.booleans()
)
@settings(max_examples=500)
def test_reply_with_random_changes_gives_no_invented_code(
    text: str, edits: list[tuple[int, int, str]], accepted: tuple[str, ...], repeated: bool
) -> None:
    # Let the text contain the code twice. If only one of the two is changed, the codes differ, so
    # the text has no clear code.
    text = f"{text}\n{text}" if repeated else text
    for at, removed, new in edits:
        at %= len(text) + 1
        text = text[:at] + new + text[at + removed :]
    assert_consistent(text, accepted)
