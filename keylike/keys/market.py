"""The four rough market figures of a response, by formulas that existing phone apps expect."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from statistics import mean, pvariance

from keylike.keys.bitting import Bitting

FORMULA = (
    "assumption: the formula of an earlier tutorial for a Keylike server, kept for apps that show "
    "it, not based on production data"
)
FULL_MARKET_YEARS = 100
"""Number of years on the market for which `time_in_market` is 1. An assumption: the oldest makers
are about as old.
"""


@dataclass(frozen=True, slots=True)
class Market:
    """Rough market figures, each with its source.

    Attributes:
        estimated_annual_production: keys made per year, 10 to 100 million.
        manufacturing_complexity: a figure without unit, 20 to 50.
        market_penetration: share of house keys, 0 to 1.
        time_in_market: years since the keyway's introduction, divided by FULL_MARKET_YEARS; at most
            1.
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
    """Return the market figures for a code and a zipcode.

    Args:
        bitting: the code.
        zipcode: five digits; "00000" means unknown.

    Raises:
        ValueError: The zipcode does not have five digits, or the bitting has no cuts.
    """
    if not re.fullmatch("[0-9]{5}", zipcode):
        raise ValueError("a zipcode has five digits")
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
        time_in_market_source=(
            f"{keyway.source_of('year_introduced')}; assumption: {FULL_MARKET_YEARS} "
            "years count as 1"
        ),
    )


def _location(zipcode: str) -> int:
    return 5 if zipcode == "00000" else int(zipcode[:2]) % 10


def _production(codes: tuple[int, ...], location: int) -> int:
    # Fractions are exact. A mean of floats can be slightly below a whole number, which int() would
    # round down.
    estimate = 45_000_000 + 100_000 * mean(map(Fraction, codes)) + 50_000 * location
    return min(100_000_000, max(10_000_000, int(estimate)))


def _complexity(codes: tuple[int, ...]) -> int:
    return min(50, max(20, int(30 + 3 * pvariance(list(map(Fraction, codes))))))
