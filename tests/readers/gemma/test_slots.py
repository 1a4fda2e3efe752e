"""Tests of the token layout of the reply template."""

from __future__ import annotations

from typing import Any

import pytest

from keylike.errors import ModelError
from keylike.readers.gemma.manifest import GemmaManifest, ReplyShape
from keylike.readers.gemma.slots import build_layout, reply_ids
from tests.readers.gemma.char_tokenizer import CharTokenizer


def manifest(*keyways: str, **fields: Any) -> GemmaManifest:
    """Return a manifest with these keyways."""
    return GemmaManifest(name="tiny", version="1", kind="gemma-merged", keyways=keyways, **fields)


def test_layout_has_the_common_beginning_of_all_replies() -> None:
    tokenizer = CharTokenizer()
    layout = build_layout(manifest("SC1", "SC4", "KW1", reply=ReplyShape(none="NONE")), tokenizer)
    assert tokenizer.text(layout.common) == "KEYWAY: "
    assert [tokenizer.text(option.head) for option in layout.options[:3]] == [
        f"{name}\nBITTING: " for name in ("SC1", "SC4", "KW1")
    ]
    no_key = layout.options[3]
    assert no_key.keyway is None
    assert tokenizer.text(no_key.head[:-1]) == "NONE" and no_key.head[-1] == 2


def test_layout_of_a_single_keyway_has_only_slots_for_digits() -> None:
    layout = build_layout(
        manifest("SC1", reply=ReplyShape(template="BITTING: {bitting}")), CharTokenizer()
    )
    assert CharTokenizer().text(layout.common) == "BITTING: "
    assert layout.options[0].head == ()


def test_allowed_digits_depend_on_the_keyway() -> None:
    sc1, kw1 = build_layout(manifest("SC1", "KW1"), CharTokenizer()).options
    assert sc1.digits == ({ord(str(digit)): digit for digit in range(10)},) * 5
    assert kw1.digits == ({ord(str(digit)): digit for digit in range(1, 8)},) * 5
    assert sc1.gaps == ((ord(","),),) * 4
    assert sc1.counts == (5,)


def test_code_of_a_keyway_with_two_lengths_may_end_early() -> None:
    (option,) = build_layout(manifest("Y1"), CharTokenizer()).options
    assert option.counts == (5, 6) and len(option.digits) == 6
    assert option.stop == 2
    (longer,) = build_layout(
        manifest("Y1", reply=ReplyShape(template="KEYWAY: {keyway}\nBITTING: {bitting}\nBRAND: x")),
        CharTokenizer(),
    ).options
    assert longer.stop == ord("\n")


def test_digits_of_another_scale_stand_for_the_makers_depths() -> None:
    backwards = {number: 10 - number for number in range(1, 10)}
    (option,) = build_layout(manifest("SC1", depths={"SC1": backwards}), CharTokenizer()).options
    assert option.digits[0] == {ord(str(number)): 10 - number for number in range(1, 10)}


def test_first_digit_may_be_a_token_with_a_leading_space() -> None:
    tokenizer = CharTokenizer(*(f" {digit}" for digit in range(10)))
    (option,) = build_layout(manifest("SC1"), tokenizer).options
    assert list(option.digits[0]) == [2_000_000 + digit for digit in range(10)]
    assert list(option.digits[1]) == [ord(str(digit)) for digit in range(10)]


@pytest.mark.parametrize("joined", ["3,", ",7", "55"])
def test_tokenizer_that_joins_digits_raises_model_error(joined: str) -> None:
    with pytest.raises(ModelError, match="does not encode each depth of SC1 as one token"):
        build_layout(
            manifest("SC1", reply=ReplyShape(template="BITTING: {bitting},55")),
            CharTokenizer(joined, "5,5,5,5,5"),
        )


def test_reply_ends_with_the_end_of_turn_token() -> None:
    assert reply_ids(CharTokenizer(), "ab") == (ord("a"), ord("b"), 2)
