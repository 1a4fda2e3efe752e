"""The probabilities of a reading: consistent with each other whatever the model said and whatever was fitted."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keylike.readers.gemma.confidence import along, candidates, cuts, whole
from keylike.readers.gemma.manifest import Isotonic, Temperature
from keylike.readers.gemma.model_output import Choice, Slot

SLACK = 1e-9
shares = st.floats(0, 1)


def slot(taken: float) -> Slot:
    """A slot of two, the first taken with this probability."""
    return Slot((taken, 1 - taken), 0)


def choice(
    *cut: float, keyway: str = "SC1", others: tuple[float, ...] = (), codes: tuple[int, ...] = ()
) -> Choice:
    """A code whose cuts have these probabilities."""
    return Choice(keyway, codes or (3,) * len(cut), tuple(map(slot, cut)), tuple(map(slot, others)))


@st.composite
def spoken(draw: st.DrawFn) -> Choice:
    """Any choice of up to six cuts, sure and impossible ones too."""
    return choice(
        *draw(st.lists(shares, min_size=1, max_size=6)),
        others=tuple(draw(st.lists(shares, max_size=2))),
    )


@st.composite
def rising(draw: st.DrawFn) -> tuple[tuple[float, float], ...]:
    """Points that rise, some of them one above the other."""
    count = draw(st.integers(2, 6))
    xs, ys = (sorted(draw(st.lists(shares, min_size=count, max_size=count))) for _ in range(2))
    return tuple(zip(xs, ys, strict=True))


def test_without_a_calibration_the_model_is_taken_at_its_word() -> None:
    assert whole(choice(0.9, 0.8, others=(0.5,)), None) == pytest.approx(0.36)


@given(spoken())
def test_a_temperature_of_one_changes_nothing(one: Choice) -> None:
    assert whole(one, Temperature(temperature=1, fitted_on=1)) == one.probability


@given(spoken(), st.floats(0.05, 20))
def test_a_temperature_keeps_within_bounds(one: Choice, temperature: float) -> None:
    assert 0 <= whole(one, Temperature(temperature=temperature, fitted_on=1)) <= 1


def test_warmth_takes_doubt_in() -> None:
    warmer = [
        whole(choice(0.9, 0.8), Temperature(temperature=t, fitted_on=1)) for t in (0.5, 1, 2, 4)
    ]
    assert warmer == sorted(warmer, reverse=True)
    assert warmer[2] == pytest.approx(
        3 / (3 + 1) * 2 / (2 + 1)
    )  # logits of log 9 and log 4, halved: odds of 3 and 2


def test_an_isotonic_line_is_straight_between_points_and_flat_outside() -> None:
    line = Isotonic(points=((0.2, 0.1), (0.6, 0.5), (0.8, 0.9)), fitted_on=1)
    assert [whole(choice(p), line) for p in (0.0, 0.2, 0.4, 0.7, 0.8, 1.0)] == pytest.approx(
        [0.1, 0.1, 0.3, 0.7, 0.9, 0.9]
    )


@given(rising(), shares, shares)
def test_an_isotonic_line_never_falls(
    points: tuple[tuple[float, float], ...], a: float, b: float
) -> None:
    low, high = sorted((a, b))
    assert points[0][1] <= along(points, low) <= along(points, high) + SLACK
    assert along(points, high) <= points[-1][1]


@given(spoken(), shares)
def test_cuts_lie_between_the_whole_and_one_and_keep_their_order(
    one: Choice, confidence: float
) -> None:
    found = cuts(one, confidence)
    assert len(found) == len(one.codes)
    assert all(confidence <= p <= 1 for p in found)
    by_own = [p for _, p in sorted(zip((s.probability for s in one.digits), found, strict=True))]
    assert by_own == sorted(by_own)


@given(spoken(), shares)
def test_cuts_and_the_other_slots_make_the_whole(one: Choice, confidence: float) -> None:
    # Taken as a code of more digits, the other slots show their share.
    flat = Choice(
        one.keyway, (0,) * (len(one.others) + len(one.digits)), (*one.others, *one.digits)
    )
    every = cuts(flat, confidence)
    assert math.prod(every) == pytest.approx(confidence, rel=0, abs=SLACK)
    assert every[len(one.others) :] == pytest.approx(cuts(one, confidence), abs=SLACK)


def test_the_least_sure_cut_bears_the_doubt_and_equal_ones_share_it() -> None:
    assert cuts(choice(1.0, 1.0, 0.8), 0.64) == pytest.approx((1, 1, 0.64), abs=1e-4)
    assert cuts(choice(1.0, 1.0), 0.81) == pytest.approx((0.9, 0.9))


def test_candidates_are_of_one_keyway_and_leave_the_others_their_share() -> None:
    heard = (
        choice(0.6, codes=(1,)),
        choice(0.2, codes=(2,), keyway="KW1"),
        choice(0.1, codes=(3,)),
        choice(0.05, codes=(4,)),
    )
    found = candidates(heard, 0.8)
    assert [one.codes for one in found] == [(1,), (3,), (4,)]
    assert [one.probability for one in found] == pytest.approx([0.8, 0.05, 0.025])


@given(st.lists(shares, min_size=1, max_size=6), shares)
def test_candidates_keep_their_ranks_and_make_at_most_one(
    own: list[float], confidence: float
) -> None:
    ranked = sorted(own, reverse=True)
    found = [
        one.probability
        for one in candidates([choice(p, codes=(i,)) for i, p in enumerate(ranked)], confidence)
    ]
    assert found[0] == confidence
    assert found == sorted(found, reverse=True)
    assert sum(found) <= 1 + SLACK
