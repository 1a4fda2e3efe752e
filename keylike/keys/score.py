"""The score of a code, from 0 (worst) to 100: the sum of five parts, each with a reason.

The largest numbers of points of the parts are assumptions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from keylike.keys.bitting import Bitting
from keylike.keys.keyspace import KeySpace
from keylike.keys.keyways import Keyway
from keylike.keys.patterns import WeakPattern

Level = Literal["weak", "fair", "good"]

WEIGHTS = "assumption: the weight of this part in the score"
PROFILE = "dkameoka/secure-pin-tumbler"
# Lowest scores of the levels "fair" and "good" (assumptions).
_FAIR, _GOOD = 40, 70
# Recommended sums of the differences between neighbouring cuts, in depth steps, by brand.
_PROFILE_TARGETS = {"Schlage": 20, "Kwikset": 8}
_BUMP_POINTS = {"high": 0, "moderate": 8, "low": 15}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the score: `points` of at most `of`, with the reason and its source."""

    name: str
    points: int
    of: int
    why: str
    source: str


def score_parts(
    bitting: Bitting, space: KeySpace, weak: tuple[WeakPattern, ...]
) -> tuple[Part, ...]:
    """Return the five parts, which sum to at most 100 points."""
    return (
        _key_space(space),
        _pattern(weak),
        _profile(bitting),
        _blank(bitting.keyway),
        _bumping(bitting.keyway),
    )


def level_of(score: int) -> Level:
    """Return the level of a score: weak below 40, fair from 40 and good from 70 (assumptions).

    A blank that anyone can buy and a high exposure to bumping cost 30 of the 100 points.
    """
    return "good" if score >= _GOOD else "fair" if score >= _FAIR else "weak"


def _key_space(space: KeySpace) -> Part:
    # 1,000 codes give no points, and 1,000,000 codes give all of them, on a logarithmic scale.
    points = round(25 * min(1.0, max(0.0, math.log10(space.after_macs) / 3 - 1)))
    return Part(
        "key_space",
        points,
        25,
        f"The keyway has {space.after_macs:,} possible codes.",
        f"counted; {WEIGHTS}",
    )


def _pattern(weak: tuple[WeakPattern, ...]) -> Part:
    why = f"Weak patterns found: {len(weak)}." if weak else "No weak pattern was found."
    sources = (*dict.fromkeys(pattern.source for pattern in weak), WEIGHTS)
    return Part(
        "pattern", max(0, 35 - sum(pattern.cost for pattern in weak)), 35, why, "; ".join(sources)
    )


def _profile(bitting: Bitting) -> Part:
    """Return the score for the differences between neighbouring cuts.

    It is their sum relative to a recommended sum. Large differences make a lock harder to pick.
    """
    target, source = _profile_target(bitting)
    steps = sum(abs(deeper - level) for level, deeper in pairwise(bitting.levels))
    points = round(10 * min(1.0, steps / target))
    why = (
        "The cuts go up and down enough."
        if steps >= target
        else "The cuts go up and down less than recommended."
    )
    return Part("profile", points, 10, why, f"{source}; {WEIGHTS}")


def _profile_target(bitting: Bitting) -> tuple[float, str]:
    keyway = bitting.keyway
    if keyway.brand in _PROFILE_TARGETS:
        return _PROFILE_TARGETS[keyway.brand], PROFILE
    largest = len(keyway.depths_mm) - 1 if keyway.macs is None else keyway.macs
    return 0.6 * largest * (
        len(bitting.codes) - 1
    ), f"assumption: 60 % of the maximum, as {PROFILE} uses for other makers"


def _blank(keyway: Keyway) -> Part:
    free = keyway.blank == "free"
    why = (
        "Anyone can buy the blank and copy the key."
        if free
        else "The blank is restricted, so copies require proof of ownership."
    )
    return Part("blank", 0 if free else 15, 15, why, f"{keyway.source_of('blank')}; {WEIGHTS}")


def _bumping(keyway: Keyway) -> Part:
    why = f"The keyway's exposure to bumping is {keyway.bump_exposure}."
    return Part(
        "bumping",
        _BUMP_POINTS[keyway.bump_exposure],
        15,
        why,
        f"{keyway.source_of('bump_exposure')}; {WEIGHTS}",
    )
