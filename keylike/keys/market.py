"""Owns the four rough market figures of an answer, by the formulas that phone apps already know."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from statistics import mean, pvariance

from keylike.keys.bitting import Bitting

FORMULA = "assumption: the older guide's formula, kept for the apps that show it; no production data stands behind it"
FULL_MARKET_YEARS = 100
"""Years on the market that count as 1 (an assumption: about the age of the oldest makers of today's house locks)."""


@dataclass(frozen=True, slots=True)
class Market:
    """Rough figures, each with its source. `estimated_annual_production` keys a year, 10 to 100 million;
    `manufacturing_complexity` 20 to 50; `market_penetration` share of house keys, 0 to 1; `time_in_market` 0 to 1, years
    since the keyway came out as a part of FULL_MARKET_YEARS.
    """

    estimated_annual_production: int
    manufacturing_complexity: int
    market_penetration: float
    time_in_market: float
    estimated_annual_production_source: str
    manufacturing_complexity_source: str
    market_penetration_source: str
    time_in_market_source: str


def market(bitting: Bitting, zipcode: str) -> Market:
    """The figures for a code in a place: `zipcode` is five digits, "00000" for unknown. Raises ValueError for another
    zipcode or a bitting without cuts.
    """
    if not re.fullmatch("[0-9]{5}", zipcode):
        raise ValueError("a zipcode is five digits")
    if not bitting.codes:
        raise ValueError("a bitting without cuts has no market figures")
    keyway = bitting.keyway
    return Market(
        estimated_annual_production=_production(bitting.codes, _location(zipcode)),
        manufacturing_complexity=_complexity(bitting.codes),
        market_penetration=keyway.market_share,
        time_in_market=min(1.0, keyway.years_on_market / FULL_MARKET_YEARS),
        estimated_annual_production_source=FORMULA,
        manufacturing_complexity_source=FORMULA,
        market_penetration_source=keyway.source_of("market_share"),
        time_in_market_source=f"{keyway.source_of('year_introduced')}; assumption: {FULL_MARKET_YEARS} years count as 1",
    )


def _location(zipcode: str) -> int:
    return 5 if zipcode == "00000" else int(zipcode[:2]) % 10


def _production(codes: tuple[int, ...], location: int) -> int:
    # Fractions, because a float mean can fall just below the whole number that int() should keep.
    estimate = 45_000_000 + 100_000 * mean(map(Fraction, codes)) + 50_000 * location
    return min(100_000_000, max(10_000_000, int(estimate)))


def _complexity(codes: tuple[int, ...]) -> int:
    return min(50, max(20, int(30 + 3 * pvariance(list(map(Fraction, codes))))))
