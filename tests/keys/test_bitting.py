"""Tests of `Bitting`: parsing and formatting, impossible codes, and the heights of the cuts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keylike.keys.bitting import Bitting, BittingError
from keylike.keys.keyways import Keyway, keyway, keyways

SC1, KW1 = keyway("SC1"), keyway("KW1")


@st.composite
def bittings(draw: st.DrawFn) -> Bitting:
    record: Keyway = draw(st.sampled_from(list(keyways().values())))
    cuts = draw(st.sampled_from(record.cut_counts))
    return Bitting(
        record,
        tuple(
            draw(st.lists(st.sampled_from(list(record.depths_mm)), min_size=cuts, max_size=cuts))
        ),
    )


@pytest.mark.parametrize(
    "text", ["2,5,4,7,3", "25473", "2 5 4 7 3", "2, 5, 4, 7, 3", "2-5-4-7-3", " 25473\n"]
)
def test_parse_accepts_common_notations(text: str) -> None:
    assert Bitting.parse(SC1, text) == Bitting(SC1, (2, 5, 4, 7, 3))


@given(bittings())
def test_parse_reads_what_format_writes(bitting: Bitting) -> None:
    assert Bitting.parse(bitting.keyway, bitting.format()) == bitting
    assert Bitting.parse(bitting.keyway, "".join(map(str, bitting.codes))) == bitting


@pytest.mark.parametrize(
    "text", ["", "abc", "2,5,,7", "2.5", "-1", "2,5,4,7,3,", "٢٥٤٧٣", "9" * 5000, "1,2,3 and 4"]
)
def test_parse_rejects_text_that_is_not_a_code(text: str) -> None:
    with pytest.raises(BittingError):
        Bitting.parse(SC1, text)


@given(st.text())
def test_parse_returns_a_bitting_or_raises_bitting_error_for_any_text(text: str) -> None:
    try:
        bitting = Bitting.parse(SC1, text)
    except BittingError:
        return
    assert Bitting.parse(SC1, bitting.format()) == bitting


def test_possible_key_has_no_problems() -> None:
    bitting = Bitting(SC1, (2, 5, 4, 7, 3))
    assert bitting.valid
    assert bitting.problems() == ()
    bitting.validate()


@pytest.mark.parametrize(
    ("record", "codes", "problem"),
    [
        (SC1, (2, 5, 4, 7), "a SC1 key has 5 cuts, not 4"),
        (SC1, (), "a SC1 key has 5 cuts, not 0"),
        (KW1, (0, 1, 2, 3, 4), "cut 1 has a depth that KW1 does not have (1 to 7)"),
        (SC1, (1, 2, 10, 4, 5), "cut 3 has a depth that SC1 does not have (0 to 9)"),
        (SC1, (2, 3, 1, 9, 5), "cuts 3 and 4 differ by more than 7 steps (MACS)"),
        (KW1, (1, 6, 3, 4, 2), "cuts 1 and 2 differ by more than 4 steps (MACS)"),
        (keyway("S22"), (1, 0, 5, 5, 5, 5), "cuts 1 and 2 differ by more than 7 steps (MACS)"),
    ],
)
def test_problems_describe_each_fault_of_an_impossible_code(
    record: Keyway, codes: tuple[int, ...], problem: str
) -> None:
    bitting = Bitting(record, codes)
    assert problem in bitting.problems()
    assert not bitting.valid
    with pytest.raises(BittingError) as refused:
        bitting.validate()
    assert refused.value.problems == bitting.problems()
    assert refused.value.keyway is record


def test_macs_limits_steps_instead_of_differences_of_depth_numbers() -> None:
    # For the maker Sargent, depth 0 is one step deeper than depth 9.
    assert Bitting(keyway("S22"), (9, 0, 9, 5, 5, 4)).valid
    assert Bitting(keyway("130K"), (0, 3, 0, 3)).valid


def test_families_with_two_cut_counts_accept_both() -> None:
    assert Bitting(keyway("Y1"), (1, 2, 3, 4, 2)).valid
    assert Bitting(keyway("Y1"), (1, 2, 3, 4, 2, 1)).valid


def test_depth_that_keys_have_but_locks_do_not_use_is_valid() -> None:
    assert Bitting(KW1, (3, 4, 7, 5, 6)).valid


def test_depths_mm_matches_the_makers_figures() -> None:
    assert Bitting(SC1, (0, 9, 5, 2, 1)).depths_in == (0.335, 0.2, 0.26, 0.305, 0.32)
    assert Bitting(KW1, (1, 2, 3, 4, 7)).depths_mm == pytest.approx(
        (8.357, 7.772, 7.188, 6.604, 4.851), abs=5e-4
    )
    assert Bitting(KW1, (1, 2, 3, 4, 7)).levels == (0, 1, 2, 3, 6)


@given(bittings())
def test_depths_mm_are_smaller_for_deeper_cuts(bitting: Bitting) -> None:
    ranked = sorted(zip(bitting.levels, bitting.depths_mm, strict=True))
    assert [height for _, height in ranked] == sorted(bitting.depths_mm, reverse=True)


def test_depths_mm_raises_for_an_unknown_depth() -> None:
    with pytest.raises(BittingError):
        _ = Bitting(KW1, (0, 1, 1, 1, 1)).depths_mm


@given(bittings())
def test_repr_does_not_contain_the_code(bitting: Bitting) -> None:
    assert bitting.format() not in repr(bitting)
    assert repr(bitting) == f"Bitting(keyway=Keyway({bitting.keyway.name}))"


def test_bitting_error_names_positions_but_no_depths() -> None:
    with pytest.raises(BittingError) as refused:
        Bitting(SC1, (8, 0, 8, 83, 84)).validate()
    assert "83" not in str(refused.value)
    assert "84" not in str(refused.value)
