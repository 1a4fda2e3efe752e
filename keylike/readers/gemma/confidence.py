"""Derive the probabilities of a reading: the whole code, each cut and the alternatives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from keylike.readers.contract import Candidate
from keylike.readers.gemma.manifest import Isotonic, Temperature
from keylike.readers.gemma.model_output import Choice, Slot

# Half precision rounds values near 1 to 1. Clipping lets every slot carry part of the uncertainty.
_MIN_PROBABILITY, _MAX_PROBABILITY = 1e-12, 1 - 1e-6


def code_probability(choice: Choice, calibration: Temperature | Isotonic | None) -> float:
    """Return the probability that the whole code is correct.

    Without a calibration this is the model's own probability.
    """
    if isinstance(calibration, Temperature):
        return choice.at_temperature(calibration.temperature)
    if isinstance(calibration, Isotonic):
        return interpolate(calibration.points, choice.probability)
    return choice.probability


def interpolate(points: Sequence[tuple[float, float]], x: float) -> float:
    """Return the value at `x` of the monotone line through `points`, constant beyond its ends."""
    xs, ys = zip(*points, strict=True)
    return float(np.clip(np.interp(x, xs, ys), ys[0], ys[-1]))


def cut_probabilities(choice: Choice, confidence: float) -> tuple[float, ...]:
    """Return the probability of each cut, bow to tip.

    Each slot's probability is raised to the one power that makes the product of all slots equal
    `confidence`. No cut is then below the whole code, and the order of the cuts is preserved.
    """
    if confidence <= 0:
        return (0.0,) * len(choice.digits)
    power = math.log(confidence) / math.fsum(
        _log_probability(slot) for slot in (*choice.other_slots, *choice.digits)
    )
    return tuple(
        min(1.0, max(confidence, math.exp(power * _log_probability(slot))))
        for slot in choice.digits
    )


def _log_probability(slot: Slot) -> float:
    return math.log(min(_MAX_PROBABILITY, max(_MIN_PROBABILITY, slot.probability)))


def candidates(choices: Sequence[Choice], confidence: float) -> tuple[Candidate, ...]:
    """Return the ranked codes of the first choice's keyway. The first has `confidence`.

    The remaining probability is divided among everything else the model might have said, in the
    model's proportions. The alternatives sum to less if the model considered more than is listed.
    """
    first, *rest = choices
    remaining = max(1 - first.probability, math.fsum(choice.probability for choice in rest))
    others = (choice for choice in rest if choice.keyway == first.keyway)
    scale = (1 - confidence) / remaining if remaining > 0 else 0.0
    return (
        Candidate(first.codes, confidence),
        *(
            Candidate(choice.codes, min(confidence, scale * choice.probability))
            for choice in others
        ),
    )
