"""Decodes measured millimetres into the maker's codes, with the exact probability of every code.

The error of each cut follows the Huber density that the measurer was trained with. All cuts of
one key also share an unknown drift: a shift, and a slope from bow to tip. Both come from small
errors of the pose and are summed out over a grid. Codes that break MACS have probability 0.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from keylike.keys.keyways import Keyway
from keylike.readers.caliper.frames import Array

UNIT_MM = 0.1
HUBER = 0.5
SHIFTS, SLOPES = 13, 9
_REACH = 2.2  # standard deviations that the grid spans on either side
_PEAKS = 6  # drifts whose best codes become candidates


@dataclass(frozen=True, slots=True)
class Decoding:
    """The result of decoding one key.

    Attributes:
        ranked: The most probable codes with their probabilities, best first.
        cuts: Probability of each depth at each cut, shape (cuts, depths).
        evidence: How well any code explains the measurements: the log density per cut, in tenths of
            a millimetre, up to a constant.
    """

    ranked: tuple[tuple[tuple[int, ...], float], ...]
    cuts: Array
    evidence: float


@dataclass(frozen=True, slots=True)
class Noise:
    """The noise of the measurements.

    Attributes:
        temperature: Factor on the spread that the network gives.
        shift_mm: Standard deviation of the shift that all cuts share.
        slope_mm: Standard deviation of the drift from the middle of the row to its last cut.
    """

    temperature: float
    shift_mm: float
    slope_mm: float = 0.0


def decode(
    keyway: Keyway, depths_mm: Array, log_spread: Array, noise: Noise, keep: int = 5
) -> Decoding:
    """Rank the codes of a keyway.

    Args:
        keyway: The keyway with its depth table and MACS.
        depths_mm: Blade height at each cut, shape (n,).
        log_spread: Log of each height's spread in tenths of a millimetre, shape (n,).
        noise: The noise to assume.
        keep: The number of codes to return.
    """
    table = np.array(list(keyway.depths_mm.values()))
    drifts, weights = _drifts(noise, len(depths_mm))
    allowed = _neighbours(keyway, len(table))
    spread = UNIT_MM * np.exp(np.clip(log_spread, -4, 3)) * noise.temperature
    heights = (depths_mm - drifts)[:, :, None]
    loss = _huber(heights - table, spread[None, :, None])  # (drifts, cuts, depths)
    likelihood = np.exp(
        loss.min((0, 2), keepdims=True) - loss
    )  # scaled per cut against underflow; the scale cancels
    forward, backward = (
        _forward(likelihood, allowed),
        _forward(likelihood[:, ::-1], allowed.T)[:, ::-1],
    )
    total = float((weights * forward[:, -1].sum(1)).sum())
    if total <= 0:
        total = np.finfo(float).tiny
    cuts = (weights[:, None, None] * forward * backward / np.maximum(likelihood, 1e-300)).sum(
        0
    ) / total
    codes = _likely(likelihood, weights, allowed, keep)
    numbers = list(keyway.depths_mm)
    ranked = sorted(
        ((_probability(code, likelihood, weights) / total, code) for code in codes), reverse=True
    )[:keep]
    dropped = loss.min((0, 2)).sum() + np.log(spread / UNIT_MM).sum()
    evidence = (math.log(total) - dropped - _log_count(keyway, len(depths_mm))) / len(depths_mm)
    return Decoding(
        tuple((tuple(numbers[i] for i in code), chance) for chance, code in ranked),
        cuts,
        float(evidence),
    )


@functools.cache
def _log_count(keyway: Keyway, cuts: int) -> float:
    """Return the log of the number of codes with so many cuts that the keyway allows."""
    allowed = _neighbours(keyway, len(keyway.depths_mm))
    return float(np.log(np.linalg.matrix_power(allowed, cuts - 1).sum()))


def _drifts(noise: Noise, cuts: int) -> tuple[Array, Array]:
    """Return every drift in mm at each cut, (drifts, cuts), and its weight (drifts,)."""
    (shifts, of_shift), (slopes, of_slope) = (
        _normal(noise.shift_mm, SHIFTS),
        _normal(noise.slope_mm, SLOPES),
    )
    along = np.linspace(-1, 1, cuts)
    grid = shifts[:, None, None] + slopes[None, :, None] * along
    return grid.reshape(-1, cuts), np.outer(of_shift, of_slope).ravel()


def _normal(sigma_mm: float, points: int) -> tuple[Array, Array]:
    if sigma_mm <= 0:
        return np.zeros(1), np.ones(1)
    at = np.linspace(-_REACH, _REACH, points)
    weights = np.exp(-0.5 * at**2)
    return at * sigma_mm, weights / weights.sum()


def _huber(miss: Array, spread: Array) -> Array:
    """Return the measurer's loss: quadratic near 0, linear beyond HUBER tenths of a millimetre."""
    units = np.abs(miss) / UNIT_MM
    loss = np.where(units < HUBER, 0.5 * units**2 / HUBER, units - 0.5 * HUBER)
    return np.asarray(loss * UNIT_MM / spread)


def _neighbours(keyway: Keyway, depths: int) -> Array:
    """Return a matrix (depths, depths) with 1 where two neighbouring cuts may have these depths."""
    most = keyway.macs if keyway.macs is not None else depths
    rank = np.arange(depths)
    near: Array = np.abs(rank[:, None] - rank[None]) <= most
    return near.astype(float)


def _forward(likelihood: Array, allowed: Array) -> Array:
    """Return the sums over all codes up to each cut by last depth, (drifts, cuts, depths)."""
    sums = np.empty_like(likelihood)
    sums[:, 0] = likelihood[:, 0]
    for cut in range(1, likelihood.shape[1]):
        sums[:, cut] = (sums[:, cut - 1] @ allowed) * likelihood[:, cut]
    return sums


def _likely(likelihood: Array, weights: Array, allowed: Array, keep: int) -> set[tuple[int, ...]]:
    """Return candidates: the best codes of the most probable drifts."""
    peak = weights * likelihood.max(2).prod(1)
    return _list_viterbi(likelihood[np.argsort(peak)[::-1][:_PEAKS]], allowed > 0, keep)


def _list_viterbi(likelihood: Array, allowed: Array, keep: int) -> set[tuple[int, ...]]:
    """Return the `keep` best codes of each drift, searched in parallel.

    This is a list Viterbi search (Seshadri and Sundberg, 1994) on likelihoods of shape (drifts,
    cuts, depths).
    """
    drifts, _, depths = likelihood.shape
    each = np.arange(drifts)[:, None]
    # Codes (drifts, kept, cuts so far) and their likelihoods (drifts, kept), negative if there is
    # none.
    codes, chances = np.tile(np.arange(depths)[:, None], (drifts, 1, 1)), likelihood[:, 0]
    for row in likelihood.swapaxes(0, 1)[1:]:
        goes_on = allowed[codes[..., -1]] & (chances[..., None] >= 0)
        reach = np.where(goes_on, chances[..., None] * row[:, None], -1.0)  # (drifts, kept, depths)
        best = np.argsort(-reach, axis=1, kind="stable")[:, :keep]
        chances = np.take_along_axis(reach, best, 1).reshape(drifts, -1)
        ends = np.broadcast_to(np.arange(depths), best.shape).reshape(drifts, -1, 1)
        codes = np.concatenate([codes[each, best.reshape(drifts, -1)], ends], 2)
    best = np.argsort(-chances, axis=1)[:, :keep]
    return {tuple(code) for code in codes[each, best][chances[each, best] >= 0].tolist()}


def _probability(code: tuple[int, ...], likelihood: Array, weights: Array) -> float:
    return float((weights * likelihood[:, np.arange(len(code)), list(code)].prod(1)).sum())
