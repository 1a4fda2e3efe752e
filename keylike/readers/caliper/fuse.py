"""Fuses the evidence of several poses of one key into one decoding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keylike.keys.keyways import Keyway
from keylike.readers.caliper.decode import Decoding
from keylike.readers.caliper.frames import Array
from keylike.readers.caliper.networks import KINDS, Measured

# How far a pose's own figures are trusted, fitted on drawn photos (docs/LOG.md). Poses of one photo
# share most of their errors, so their evidence counts less than that of independent measurements.
_EVIDENCE, _FIT, _MOST_FIT = 2.5, 0.5, 8.0


@dataclass(frozen=True, slots=True)
class PoseEvidence:
    """The evidence of one pose.

    Attributes:
        kinds: Probability of each kind of key.
        kind: The most probable kind that has a code.
        keyway: The lock that its cuts are for.
        measured: The measurer's answer.
        decoding: The codes that the measurements decode to.
    """

    kinds: dict[str, float]
    kind: str
    keyway: Keyway
    measured: Measured
    decoding: Decoding


@dataclass(frozen=True, slots=True)
class Fused:
    """The evidence of all poses.

    Attributes:
        main: Index of the pose that supports the most probable code most.
        kinds: Probability of each kind over all poses.
        decoding: The codes over all poses that agree on the keyway.
    """

    main: int
    kinds: dict[str, float]
    decoding: Decoding


def fuse(evidence: Sequence[PoseEvidence], keep: int = 5) -> Fused:
    """Fuse one or more poses."""
    plain = _weights(evidence)
    kinds = {
        kind: float(
            sum(weight * one.kinds[kind] for weight, one in zip(plain, evidence, strict=True))
        )
        for kind in KINDS
    }
    weights = plain * np.array([one.kinds[one.kind] for one in evidence])
    codes: defaultdict[tuple[str, tuple[int, ...]], float] = defaultdict(float)
    for one, weight in zip(evidence, weights, strict=True):
        for code, chance in one.decoding.ranked:
            codes[one.keyway.name, code] += weight * chance
    keyway, best = max(codes, key=lambda each: codes[each])
    alike = [i for i, one in enumerate(evidence) if one.keyway.name == keyway]
    whole = float(weights[alike].sum())
    ranked = sorted(
        ((chance / whole, code) for (name, code), chance in codes.items() if name == keyway),
        reverse=True,
    )[:keep]
    main = max(alike, key=lambda i: weights[i] * dict(evidence[i].decoding.ranked).get(best, 0.0))
    cuts = np.tensordot(
        weights[alike] / whole, np.stack([evidence[i].decoding.cuts for i in alike]), 1
    )
    decoding = Decoding(
        tuple((code, float(chance)) for chance, code in ranked),
        cuts,
        evidence[main].decoding.evidence,
    )
    return Fused(main, kinds, decoding)


def _weights(evidence: Sequence[PoseEvidence]) -> Array:
    score = np.array(
        [
            _EVIDENCE * one.decoding.evidence + _FIT * min(one.measured.fit, _MOST_FIT)
            for one in evidence
        ]
    )
    raised = np.exp(score - score.max())
    return np.asarray(raised / raised.sum())
