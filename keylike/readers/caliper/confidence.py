"""The calibrated probability that the whole code is right."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from keylike.readers.caliper.decode import Decoding
from keylike.readers.caliper.frames import Array, perspective, tilt_deg
from keylike.readers.caliper.networks import KINDS, Measured
from keylike.readers.contract import Candidate

# The calibration weighs these. `other_logit` and `tilt` lower it for foreign keys that pass for
# tilted ones.
FIGURES = (
    "code_logit",
    "log_spread",
    "fit",
    "kind_logit",
    "evidence",
    "other_logit",
    "tilt",
    "perspective",
)
_EDGE = 1e-4


def figures(
    decoding: Decoding,
    measured: Measured,
    log_spread: Array,
    kinds: Mapping[str, float],
    kind: str,
    pose: Array,
) -> tuple[float, ...]:
    """Return the figures of one analysis in the order of FIGURES."""
    values = (
        logit(decoding.ranked[0][1]),
        float(log_spread.max()),
        measured.fit,
        logit(kinds[kind]),
        decoding.evidence,
        logit(kinds["other"]),
        tilt_deg(pose) / 10,
        min(500 * perspective(pose), 3.0),
    )
    return tuple(float(np.clip(value, -12, 12)) for value in values)


def confidence(values: tuple[float, ...], weights: tuple[float, ...]) -> float:
    """Return the logistic curve over the figures; `weights` ends with the constant."""
    *slopes, score = weights
    score += sum(value * slope for value, slope in zip(values, slopes, strict=True))
    return 1 / (1 + math.exp(-float(np.clip(score, -30, 30))))


def kind_probabilities(logits: Array, temperature: float) -> dict[str, float]:
    """Return the probability of each kind of key in KINDS."""
    raised = np.exp((logits - logits.max()) / temperature)
    return {kind: float(p) for kind, p in zip(KINDS, raised / raised.sum(), strict=True)}


def candidates(decoding: Decoding, first: float) -> tuple[Candidate, ...]:
    """Return the ranked codes as candidates.

    The first has its calibrated confidence; the others share the rest as decoded.
    """
    (best, chance), *rest = decoding.ranked
    left = max(1e-9, 1 - chance)
    others = (Candidate(codes, float(min(first, (1 - first) * p / left))) for codes, p in rest)
    return (Candidate(best, first), *others)


def logit(probability: float) -> float:
    """Return the logit of a probability, kept off 0 and 1."""
    p = min(1 - _EDGE, max(_EDGE, probability))
    return math.log(p / (1 - p))
