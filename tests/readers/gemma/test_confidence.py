"""Tests that the probabilities of a reading are consistent for any scores and calibration."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keylike.readers.gemma.confidence import (
    candidates,
    code_probability,
    cut_probabilities,
    interpolate,
)
from keylike.readers.gemma.manifest import Isotonic, Temperature
from keylike.readers.gemma.model_output import Choice, Slot

SLACK = 1e-9
shares = st.floats(0, 1)


def slot(probability: float) -> Slot:
    """Return a slot with two options. The chosen one has this probability."""
    return Slot((probability, 1 - probability), 0)


def choice(
    *cut: float, keyway: str = "SC1", others: tuple[float, ...] = (), codes: tuple[int, ...] = ()
) -> Choice:
    """Return a scored code whose cuts have these probabilities."""
    return Choice(keyway, codes or (3,) * len(cut), tuple(map(slot, cut)), tuple(map(slot, others)))


@st.composite
def choices(draw: st.DrawFn) -> Choice:
    """Generate scored codes of up to six cuts, with probabilities from 0 to 1."""
    return choice(
        *draw(st.lists(shares, min_size=1, max_size=6)),
        others=tuple(draw(st.lists(shares, max_size=2))),
    )


@st.composite
def rising(draw: st.DrawFn) -> tuple[tuple[float, float], ...]:
    """Generate points of a curve that never falls. Some of them may have the same x."""
    count = draw(st.integers(2, 6))
    xs, ys = (sorted(draw(st.lists(shares, min_size=count, max_size=count))) for _ in range(2))
    return tuple(zip(xs, ys, strict=True))


def test_code_probability_without_calibration_is_that_of_the_model() -> None:
    assert code_probability(choice(0.9, 0.8, others=(0.5,)), None) == pytest.approx(0.36)


@given(choices())
def test_code_probability_at_temperature_one_is_unchanged(option: Choice) -> None:
    assert code_probability(option, Temperature(temperature=1, fitted_on=1)) == option.probability


@given(choices(), st.floats(0.05, 20))
def test_code_probability_at_any_temperature_is_a_probability(
    option: Choice, temperature: float
) -> None:
    assert 0 <= code_probability(option, Temperature(temperature=temperature, fitted_on=1)) <= 1


def test_code_probability_falls_with_a_higher_temperature() -> None:
    warmer = [
        code_probability(choice(0.9, 0.8), Temperature(temperature=t, fitted_on=1))
        for t in (0.5, 1, 2, 4)
    ]
    assert warmer == sorted(warmer, reverse=True)
    assert warmer[2] == pytest.approx(
        3 / (3 + 1) * 2 / (2 + 1)
    )  # at temperature 2 the odds of the cuts, 9 and 4, become their square roots, 3 and 2


def test_isotonic_calibration_is_linear_between_its_points() -> None:
    line = Isotonic(points=((0.2, 0.1), (0.6, 0.5), (0.8, 0.9)), fitted_on=1)
    assert [
        code_probability(choice(p), line) for p in (0.0, 0.2, 0.4, 0.7, 0.8, 1.0)
    ] == pytest.approx([0.1, 0.1, 0.3, 0.7, 0.9, 0.9])


@given(rising(), shares, shares)
def test_interpolated_calibration_never_falls(
    points: tuple[tuple[float, float], ...], a: float, b: float
) -> None:
    low, high = sorted((a, b))
    assert points[0][1] <= interpolate(points, low) <= interpolate(points, high) + SLACK
    assert interpolate(points, high) <= points[-1][1]


@given(choices(), shares)
def test_cut_probabilities_are_between_confidence_and_one(
    option: Choice, confidence: float
) -> None:
    found = cut_probabilities(option, confidence)
    assert len(found) == len(option.codes)
    assert all(confidence <= p <= 1 for p in found)
    in_own_order = [
        p for _, p in sorted(zip((s.probability for s in option.digits), found, strict=True))
    ]
    assert in_own_order == sorted(in_own_order)


@given(choices(), shares)
def test_probabilities_of_all_slots_multiply_to_the_confidence(
    option: Choice, confidence: float
) -> None:
    # Count the other slots as cuts too, to get the probability that they account for.
    flat = Choice(
        option.keyway,
        (0,) * (len(option.other_slots) + len(option.digits)),
        (*option.other_slots, *option.digits),
    )
    all_slots = cut_probabilities(flat, confidence)
    assert math.prod(all_slots) == pytest.approx(confidence, rel=0, abs=SLACK)
    assert all_slots[len(option.other_slots) :] == pytest.approx(
        cut_probabilities(option, confidence), abs=SLACK
    )


def test_uncertain_cuts_get_lower_probabilities() -> None:
    assert cut_probabilities(choice(1.0, 1.0, 0.8), 0.64) == pytest.approx((1, 1, 0.64), abs=1e-4)
    assert cut_probabilities(choice(1.0, 1.0), 0.81) == pytest.approx((0.9, 0.9))


def test_all_candidates_have_the_keyway_of_the_first() -> None:
    scored = (
        choice(0.6, codes=(1,)),
        choice(0.2, codes=(2,), keyway="KW1"),
        choice(0.1, codes=(3,)),
        choice(0.05, codes=(4,)),
    )
    found = candidates(scored, 0.8)
    assert [option.codes for option in found] == [(1,), (3,), (4,)]
    assert [option.probability for option in found] == pytest.approx([0.8, 0.05, 0.025])


@given(st.lists(shares, min_size=1, max_size=6), shares)
def test_candidates_keep_their_order_and_sum_to_at_most_one(
    own: list[float], confidence: float
) -> None:
    ranked = sorted(own, reverse=True)
    found = [
        option.probability
        for option in candidates([choice(p, codes=(i,)) for i, p in enumerate(ranked)], confidence)
    ]
    assert found[0] == confidence
    assert found == sorted(found, reverse=True)
    assert sum(found) <= 1 + SLACK
