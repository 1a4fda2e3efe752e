"""Tests of decoding measured heights into codes, also against the listing of all codes."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keylike.keys.keyways import Keyway, keyway
from keylike.readers.caliper.decode import HUBER, UNIT_MM, Noise, decode


def small_keyway() -> Keyway:
    """Return a keyway with four depths, three cuts and MACS 2, whose 64 codes can be listed."""
    kw1 = keyway("KW1")
    return replace(
        kw1,
        cut_counts=(3,),
        macs=2,
        depths_mm={number: kw1.depths_mm[number] for number in (1, 2, 3, 4)},
    )


def counted(way: Keyway, depths: np.ndarray, spread: np.ndarray) -> dict[tuple[int, ...], float]:
    """Return the probability of every allowed code, found by listing all codes.

    The pose is assumed to be exact, so all heights have no common offset.
    """
    numbers = list(way.depths_mm)

    def density(cut: int, number: int) -> float:
        units = abs(depths[cut] - way.depths_mm[number]) / UNIT_MM
        loss = 0.5 * units**2 / HUBER if units < HUBER else units - 0.5 * HUBER
        return float(np.exp(-loss / np.exp(spread[cut])))

    allowed = [
        code
        for code in itertools.product(numbers, repeat=len(depths))
        if all(
            abs(numbers.index(a) - numbers.index(b)) <= (way.macs or 99)
            for a, b in itertools.pairwise(code)
        )
    ]
    raw = {
        code: float(np.prod([density(i, number) for i, number in enumerate(code)]))
        for code in allowed
    }
    total = sum(raw.values())
    return {code: p / total for code, p in raw.items()}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(6.0, 8.8), min_size=3, max_size=3),
    st.lists(st.floats(-1, 2), min_size=3, max_size=3),
)
def test_decoded_probabilities_equal_those_of_listing_all_codes(
    depths: list[float], spread: list[float]
) -> None:
    way, heights, logs = small_keyway(), np.array(depths), np.array(spread)
    truth = counted(way, heights, logs)
    decoding = decode(way, heights, logs, Noise(1.0, 0.0), keep=6)
    best = sorted(truth.values(), reverse=True)
    for place, (code, chance) in enumerate(decoding.ranked):
        assert chance == pytest.approx(truth[code], rel=1e-6)
        assert chance == pytest.approx(best[place], rel=1e-6)
    for cut, number in itertools.product(range(3), way.depths_mm):
        expected = sum(p for code, p in truth.items() if code[cut] == number)
        assert decoding.cuts[cut, list(way.depths_mm).index(number)] == pytest.approx(
            expected, abs=1e-9
        )


def test_code_that_breaks_the_macs_is_not_among_the_results() -> None:
    way = keyway("KW1")
    heights = np.array(
        [way.depths_mm[1], way.depths_mm[7], way.depths_mm[1], way.depths_mm[7], way.depths_mm[1]]
    )
    for code, _ in decode(way, heights, np.zeros(5), Noise(1.0, 0.05), keep=10).ranked:
        assert max(abs(a - b) for a, b in itertools.pairwise(code)) <= 4


def test_heights_with_a_common_offset_decode_to_the_right_code() -> None:
    way, codes = keyway("SC1"), (2, 5, 4, 7, 3)
    heights = np.array([way.depths_mm[code] for code in codes]) + 0.17
    aware = decode(way, heights, np.full(5, -1.0), Noise(1.0, 0.1))
    assert aware.ranked[0][0] == codes


def test_heights_of_a_slightly_rotated_pose_decode_to_the_right_code() -> None:
    """Decode heights that are too deep at the bow and too shallow at the tip.

    They are measured like this if the estimated pose of the blade is rotated a little.
    """
    way, codes = keyway("SC1"), (2, 5, 4, 7, 3)
    heights = np.array([way.depths_mm[code] for code in codes]) + np.linspace(-0.26, 0.26, 5)
    aware = decode(way, heights, np.full(5, -1.0), Noise(1.0, 0.05, 0.15))
    unaware = decode(way, heights, np.full(5, -1.0), Noise(1.0, 0.05))
    assert aware.ranked[0][0] == codes
    assert unaware.ranked[0][0] != codes


def test_cut_between_two_depths_splits_the_probability() -> None:
    way = keyway("SC1")
    heights = np.array([way.depths_mm[code] for code in (2, 5, 4, 7, 3)])
    heights[2] = (way.depths_mm[4] + way.depths_mm[5]) / 2
    decoding = decode(way, heights, np.full(5, -1.0), Noise(1.0, 0.0))
    assert decoding.cuts[2].max() == pytest.approx(0.5, abs=0.02)
    assert {code for code, _ in decoding.ranked[:2]} == {(2, 5, 4, 7, 3), (2, 5, 5, 7, 3)}
