"""From what was measured to the probability that the whole code is right."""

from __future__ import annotations

import math

import numpy as np

from keylike.readers.caliper.decode import Decoding
from keylike.readers.caliper.frames import Array
from keylike.readers.caliper.networks import KINDS, Measured
from keylike.readers.contract import Candidate

FIGURES = ("code_logit", "log_spread", "fit", "kind_logit", "evidence")
_EDGE = 1e-4


def figures(
    decoding: Decoding, measured: Measured, log_spread: Array, kind_probability: float
) -> tuple[float, ...]:
    """The figures the calibration weighs, in the order of FIGURES."""
    values = (
        _logit(decoding.ranked[0][1]),
        float(log_spread.max()),
        measured.fit,
        _logit(kind_probability),
        decoding.evidence,
    )
    return tuple(float(np.clip(value, -12, 12)) for value in values)


def confidence(values: tuple[float, ...], weights: tuple[float, ...]) -> float:
    """A logistic curve over the figures; `weights` has one more entry, the constant."""
    score = (
        sum(value * weight for value, weight in zip(values, weights[:-1], strict=True))
        + weights[-1]
    )
    return 1 / (1 + math.exp(-float(np.clip(score, -30, 30))))


def kind_probabilities(logits: Array, temperature: float) -> dict[str, float]:
    """Probability of each kind of key in KINDS."""
    raised = np.exp((logits - logits.max()) / temperature)
    return {kind: float(p) for kind, p in zip(KINDS, raised / raised.sum(), strict=True)}


def candidates(decoding: Decoding, first: float) -> tuple[Candidate, ...]:
    """The ranked codes: the first has the calibrated confidence, the others share what is left as the decoding shares it."""
    (best, chance), *rest = decoding.ranked
    left = max(1e-9, 1 - chance)
    others = (Candidate(codes, float(min(first, (1 - first) * p / left))) for codes, p in rest)
    return (Candidate(best, first), *others)


def _logit(probability: float) -> float:
    p = min(1 - _EDGE, max(_EDGE, probability))
    return math.log(p / (1 - p))
