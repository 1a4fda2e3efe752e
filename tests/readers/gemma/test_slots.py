"""The reply as slots: what is common, what each keyway adds, where the digits stand, and tokenizers that do not suit."""

from __future__ import annotations

from typing import Any

import pytest

from keylike.errors import ModelError
from keylike.readers.gemma.manifest import GemmaManifest, ReplyShape
from keylike.readers.gemma.slots import lay_out, reply_ids
from tests.readers.gemma.words import Words


def manifest(*keyways: str, **more: Any) -> GemmaManifest:
    """A manifest that knows these keyways."""
    return GemmaManifest(name="tiny", version="1", kind="gemma-merged", keyways=keyways, **more)


def test_what_all_share_is_said_once_and_each_keyway_goes_on() -> None:
    words = Words()
    layout = lay_out(manifest("SC1", "SC4", "KW1", reply=ReplyShape(none="NONE")), words)
    assert words.text(layout.common) == "KEYWAY: "
    assert [words.text(option.head) for option in layout.options[:3]] == [
        f"{name}\nBITTING: " for name in ("SC1", "SC4", "KW1")
    ]
    nothing = layout.options[3]
    assert nothing.keyway is None
    assert words.text(nothing.head[:-1]) == "NONE" and nothing.head[-1] == 2


def test_one_keyway_leaves_no_choice_but_the_digits() -> None:
    layout = lay_out(manifest("SC1", reply=ReplyShape(template="BITTING: {bitting}")), Words())
    assert Words().text(layout.common) == "BITTING: "
    assert layout.options[0].head == ()


def test_each_place_has_the_keyways_own_digits() -> None:
    sc1, kw1 = lay_out(manifest("SC1", "KW1"), Words()).options
    assert sc1.digits == ({ord(str(digit)): digit for digit in range(10)},) * 5
    assert kw1.digits == ({ord(str(digit)): digit for digit in range(1, 8)},) * 5
    assert sc1.gaps == ((ord(","),),) * 4
    assert sc1.counts == (5,)


def test_a_keyway_with_two_counts_may_stop_early() -> None:
    (option,) = lay_out(manifest("Y1"), Words()).options
    assert option.counts == (5, 6) and len(option.digits) == 6
    assert option.stop == 2
    (longer,) = lay_out(
        manifest("Y1", reply=ReplyShape(template="KEYWAY: {keyway}\nBITTING: {bitting}\nBRAND: x")),
        Words(),
    ).options
    assert longer.stop == ord("\n")


def test_another_scale_is_turned_into_the_makers_depths() -> None:
    backwards = {number: 10 - number for number in range(1, 10)}
    (option,) = lay_out(manifest("SC1", depths={"SC1": backwards}), Words()).options
    assert option.digits[0] == {ord(str(number)): 10 - number for number in range(1, 10)}


def test_a_first_digit_with_its_space_is_a_token_of_its_own() -> None:
    words = Words(*(f" {digit}" for digit in range(10)))
    (option,) = lay_out(manifest("SC1"), words).options
    assert list(option.digits[0]) == [2_000_000 + digit for digit in range(10)]
    assert list(option.digits[1]) == [ord(str(digit)) for digit in range(10)]


@pytest.mark.parametrize("joined", ["3,", ",7", "55"])
def test_digits_that_melt_into_other_tokens_are_refused(joined: str) -> None:
    with pytest.raises(ModelError, match="does not write each depth of SC1 as one token"):
        lay_out(
            manifest("SC1", reply=ReplyShape(template="BITTING: {bitting},55")),
            Words(joined, "5,5,5,5,5"),
        )


def test_a_reply_ends_the_turn() -> None:
    assert reply_ids(Words(), "ab") == (ord("a"), ord("b"), 2)
