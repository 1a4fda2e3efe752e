"""Compute the probabilities of a reading: of the whole code, each cut and the alternatives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from keylike.readers.contract import Candidate
from keylike.readers.gemma.manifest import Isotonic, Temperature
from keylike.readers.gemma.model_output import Choice, Slot

# Limits to which the probabilities of slots are clipped. Half precision rounds values near 1 to 1,
# and such a slot would not share in the uncertainty of the whole code.
_MIN_PROBABILITY, _MAX_PROBABILITY = 1e-12, 1 - 1e-6


def code_probability(choice: Choice, calibration: Temperature | Isotonic | None) -> float:
    """Return the probability that the whole code is correct.

    Without a calibration, this is the probability that the model assigns to the code.
    """
    if isinstance(calibration, Temperature):
        return choice.at_temperature(calibration.temperature)
    if isinstance(calibration, Isotonic):
        return interpolate(calibration.points, choice.probability)
    return choice.probability


def interpolate(points: Sequence[tuple[float, float]], x: float) -> float:
    """Return the value at `x` of the line through `points`.

    Before the first point and after the last one, the value is constant.
    """
    xs, ys = zip(*points, strict=True)
    return float(np.clip(np.interp(x, xs, ys), ys[0], ys[-1]))


def cut_probabilities(choice: Choice, confidence: float) -> tuple[float, ...]:
    """Return the probability of each cut, bow to tip.

    The probabilities of all slots are raised to the same power, chosen so that their product is
    `confidence`. Then no cut is less probable than the whole code, and a cut that was more probable
    than another one still is.
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
    """Return the codes with the keyway of the most probable code, most probable first.

    The first code has the probability `confidence`. The remaining probability is divided among all
    other replies of the model, in proportion to their probabilities. The sum of the listed codes is
    less than 1 if there are other replies that are not listed.
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
