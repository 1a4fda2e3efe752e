"""Tests of the four market figures: their formulas, limits and sources."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keylike.keys.bitting import Bitting
from keylike.keys.keyways import keyway
from keylike.keys.market import market
from tests.keys.test_bitting import bittings

SC1 = keyway("SC1")


def test_market_figures_follow_their_formulas() -> None:
    # The depths have the mean 4.2 and the population variance 2.96. The location of this zipcode is
    # 90 modulo 10, so it adds nothing.
    figures = market(Bitting.parse(SC1, "25473"), "90210")
    assert figures.estimated_annual_production == 45_000_000 + 420_000
    assert figures.manufacturing_complexity == int(30 + 3 * 2.96)


@pytest.mark.parametrize(
    ("zipcode", "location"),
    [("00000", 5), ("00501", 0), ("12345", 2), ("90210", 0), ("98101", 8), ("99999", 9)],
)
def test_location_is_the_first_two_digits_of_the_zipcode_modulo_ten(
    zipcode: str, location: int
) -> None:
    assert (
        market(Bitting.parse(SC1, "11111"), zipcode).estimated_annual_production
        == 45_100_000 + 50_000 * location
    )


def test_manufacturing_complexity_is_limited_to_30_to_50() -> None:
    assert market(Bitting.parse(SC1, "55555"), "00000").manufacturing_complexity == 30
    assert market(Bitting.parse(SC1, "09090"), "00000").manufacturing_complexity == 50


def test_annual_production_uses_the_exact_mean_depth() -> None:
    # The formula has 100,000 times the mean depth. With seven cuts that is not a whole number and
    # must be rounded down.
    assert market(Bitting.parse(SC1, "00001"), "90210").estimated_annual_production == 45_020_000
    assert (
        market(Bitting.parse(keyway("A2"), "0000001"), "90210").estimated_annual_production
        == 45_014_285
    )


@given(bittings(), st.from_regex(r"[0-9]{5}", fullmatch=True).filter(str.isascii))
def test_market_figures_of_every_key_are_in_range_and_have_sources(
    bitting: Bitting, zipcode: str
) -> None:
    figures = market(bitting, zipcode)
    assert 10_000_000 <= figures.estimated_annual_production <= 100_000_000
    assert 20 <= figures.manufacturing_complexity <= 50
    assert 0 < figures.market_penetration < 1
    assert 0 < figures.time_in_market <= 1
    assert "assumption" in figures.estimated_annual_production_source
    assert "assumption" in figures.manufacturing_complexity_source
    assert figures.market_penetration_source
    assert figures.time_in_market_source


def test_time_in_market_depends_on_the_year_of_introduction() -> None:
    assert market(Bitting.parse(keyway("KW1"), "35264"), "00000").time_in_market == 0.8
    assert market(Bitting.parse(SC1, "25473"), "00000").time_in_market == 1.0


@pytest.mark.parametrize("zipcode", ["", "1234", "123456", "abcde", "1234a", "١٢٣٤٥", "12345\n"])
def test_invalid_zipcode_raises_value_error(zipcode: str) -> None:
    with pytest.raises(ValueError, match="five digits"):
        market(Bitting.parse(SC1, "25473"), zipcode)


def test_market_figures_without_cuts_raise_value_error() -> None:
    with pytest.raises(ValueError, match="without cuts"):
        market(Bitting(SC1, ()), "00000")
