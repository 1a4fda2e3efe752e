"""From what the model said to the probabilities of a reading: the whole code, each cut, and the other codes it might be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from keylike.readers.contract import Candidate
from keylike.readers.gemma.manifest import Isotonic, Temperature
from keylike.readers.gemma.model_output import Choice, Slot

# Half precision writes 1 for what is merely near it; held off 0 and 1, each slot can bear its part of the doubt.
_LEAST, _MOST = 1e-12, 1 - 1e-6


def whole(choice: Choice, calibration: Temperature | Isotonic | None) -> float:
    """Probability that the whole code is right: as fitted, or the model's own where nothing was fitted."""
    if isinstance(calibration, Temperature):
        return choice.at(calibration.temperature)
    if isinstance(calibration, Isotonic):
        return along(calibration.points, choice.probability)
    return choice.probability


def along(points: Sequence[tuple[float, float]], x: float) -> float:
    """The height at `x` of a line through `points`, which rise in both numbers; flat beyond its ends."""
    xs, ys = zip(*points, strict=True)
    return float(np.clip(np.interp(x, xs, ys), ys[0], ys[-1]))


def cuts(choice: Choice, confidence: float) -> tuple[float, ...]:
    """Probability of each cut, bow to tip: every slot's own, raised to the one power that makes all slots' product `confidence`.

    So none is below the whole, and a cut of which the model was surer stays the surer one.
    """
    if confidence <= 0:
        return (0.0,) * len(choice.digits)
    power = math.log(confidence) / math.fsum(
        _log(slot) for slot in (*choice.others, *choice.digits)
    )
    return tuple(min(1.0, max(confidence, math.exp(power * _log(slot)))) for slot in choice.digits)


def _log(slot: Slot) -> float:
    return math.log(min(_MOST, max(_LEAST, slot.probability)))


def candidates(choices: Sequence[Choice], confidence: float) -> tuple[Candidate, ...]:
    """The codes of the first choice's keyway, ranked. The first has `confidence`; what is left goes to all else the model might have
    said, in its proportions, so the others' sum is below it where the model had more to say than is listed."""
    first, *rest = choices
    left = max(1 - first.probability, math.fsum(choice.probability for choice in rest))
    others = (choice for choice in rest if choice.keyway == first.keyway)
    scale = (1 - confidence) / left if left > 0 else 0.0
    return (
        Candidate(first.codes, confidence),
        *(Candidate(one.codes, min(confidence, scale * one.probability)) for one in others),
    )
