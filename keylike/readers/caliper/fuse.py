"""Several sightings of one key, each a way it might lie, weighed against each other and their codes put together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keylike.keys.keyways import Keyway
from keylike.readers.caliper.decode import Decoding
from keylike.readers.caliper.frames import Array
from keylike.readers.caliper.networks import KINDS, Measured

# How far each sighting's own signs are trusted; found on drawn photos (docs/LOG.md). Sightings of one photo share most of its faults, so
# evidence counts less than it would for independent ones.
_EVIDENCE, _FIT, _MOST_FIT = 2.5, 0.5, 8.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What one sighting says: the probability of every kind, the likeliest kind with a code, the lock its cuts are for, what was
    measured and what that decodes to."""

    kinds: dict[str, float]
    kind: str
    keyway: Keyway
    measured: Measured
    decoding: Decoding


@dataclass(frozen=True, slots=True)
class Weighed:
    """`main`: the place of the sighting that says most for the likeliest code; the kinds as all sightings see them; the decoding of
    those that see the same keyway."""

    main: int
    kinds: dict[str, float]
    decoding: Decoding


def weigh(heard: Sequence[Heard], keep: int = 5) -> Weighed:
    """Puts one or more sightings together."""
    plain = _weights(heard)
    kinds = {
        kind: float(sum(weight * one.kinds[kind] for weight, one in zip(plain, heard, strict=True)))
        for kind in KINDS
    }
    weights = plain * np.array([one.kinds[one.kind] for one in heard])
    codes: defaultdict[tuple[str, tuple[int, ...]], float] = defaultdict(float)
    for one, weight in zip(heard, weights, strict=True):
        for code, chance in one.decoding.ranked:
            codes[one.keyway.name, code] += weight * chance
    keyway, best = max(codes, key=lambda each: codes[each])
    alike = [i for i, one in enumerate(heard) if one.keyway.name == keyway]
    whole = float(weights[alike].sum())
    ranked = sorted(
        ((chance / whole, code) for (name, code), chance in codes.items() if name == keyway),
        reverse=True,
    )[:keep]
    main = max(alike, key=lambda i: weights[i] * dict(heard[i].decoding.ranked).get(best, 0.0))
    cuts = np.tensordot(
        weights[alike] / whole, np.stack([heard[i].decoding.cuts for i in alike]), 1
    )
    decoding = Decoding(
        tuple((code, float(chance)) for chance, code in ranked), cuts, heard[main].decoding.evidence
    )
    return Weighed(main, kinds, decoding)


def _weights(heard: Sequence[Heard]) -> Array:
    score = np.array(
        [
            _EVIDENCE * one.decoding.evidence + _FIT * min(one.measured.fit, _MOST_FIT)
            for one in heard
        ]
    )
    raised = np.exp(score - score.max())
    return np.asarray(raised / raised.sum())
