"""Fit the calibration of whole codes on photos with known codes.

A temperature or an isotonic curve is fitted, whichever predicts held-back photos better.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keylike.readers.evaluation import calibration_error
from keylike.readers.gemma.confidence import code_probability
from keylike.readers.gemma.manifest import Isotonic, Temperature
from keylike.readers.gemma.model_output import Choice

Row = tuple[Choice, bool]
Curve = Temperature | Isotonic
# A row is the model's most probable code for one photo, and True if that code is correct. These are
# the smallest numbers of rows for any calibration and for an isotonic curve.
MIN_ROWS = 20
MIN_ROWS_ISOTONIC = 100
# Number of folds of the cross-validation.
FOLDS = 5
# Temperatures to try: 0.05 to 20 in steps of 5 %. A few hundred photos cannot distinguish smaller
# steps.
TEMPERATURES: tuple[float, ...] = tuple(0.05 * 400.0 ** (step / 120) for step in range(121))
# Smallest probability in the log loss. Without it, a wrong prediction of 0 or 1 would have an
# infinite loss.
_CLIP = 1e-6
# Replaces a probability of 0, which has no logarithm.
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration that was fitted on all rows.

    Attributes:
        calibration: Fitted calibration.
        predicted: For each row, the probability from a calibration that was fitted without that
            row.
    """

    calibration: Curve
    predicted: tuple[float, ...]


def fit(rows: Sequence[Row]) -> Curve:
    """Return the calibration for `rows`. Its `error` is measured on held-back rows.

    Args:
        rows: For each photo, the model's most probable code, and True if it is correct.

    Raises:
        ValueError: There are too few rows, or all are correct or all wrong. The message says how
            many photos to add.
    """
    return cross_fit(rows).calibration


def cross_fit(rows: Sequence[Row]) -> Fitted:
    """Return the calibration for `rows`, and predictions for rows that were held back.

    Raises:
        ValueError: There are too few rows, or all are correct or all wrong.
    """
    check_enough_rows(rows)
    methods: list[Callable[[Sequence[Row]], Curve]] = [fit_temperature]
    if len(rows) >= MIN_ROWS_ISOTONIC:
        methods.append(fit_isotonic)
    right = [correct for _, correct in rows]
    results = [(method, _cross_predict(rows, method)) for method in methods]
    best, predicted = min(
        results, key=lambda result: log_loss(list(zip(result[1], right, strict=True)))
    )
    error = calibration_error(list(zip(predicted, right, strict=True)))
    return Fitted(best(rows).model_copy(update={"error": error}), tuple(predicted))


def check_enough_rows(rows: Sequence[Row]) -> None:
    """Check that a calibration can be fitted on `rows`.

    Raises:
        ValueError: There are fewer than MIN_ROWS rows, or all are correct or all wrong. The message
            says how many photos to add.
    """
    if len(rows) < MIN_ROWS:
        raise ValueError(
            f"a calibration needs {MIN_ROWS} photos with a reading, but there are {len(rows)}: "
            f"label {MIN_ROWS - len(rows)} more"
        )
    hits = sum(correct for _, correct in rows)
    if hits in (0, len(rows)):
        outcome, other = ("correctly", "harder") if hits else ("wrongly", "easier")
        raise ValueError(
            f"all {len(rows)} photos were read {outcome}, so confidence cannot be calibrated: "
            f"label {MIN_ROWS} {other} photos, so that some are read "
            f"{'wrongly' if hits else 'correctly'}"
        )


def log_loss(pairs: Sequence[tuple[float, bool]]) -> float:
    """Return the mean log loss, in nats, of (predicted probability, correct) pairs."""
    return math.fsum(_loss(probability, right) for probability, right in pairs) / len(pairs)


def _loss(probability: float, right: bool) -> float:
    return -math.log(min(1.0, max(_CLIP, probability if right else 1 - probability)))


def _cross_predict(rows: Sequence[Row], method: Callable[[Sequence[Row]], Curve]) -> list[float]:
    """Return the prediction for each row from a calibration fitted on the other folds.

    Each fold has about the same share of correct rows.
    """
    order = list(range(len(rows)))
    random.Random(0).shuffle(order)
    order.sort(key=lambda i: rows[i][1])
    predicted = [0.0] * len(rows)
    for fold in range(FOLDS):
        held_back = set(order[fold::FOLDS])
        curve = method([row for i, row in enumerate(rows) if i not in held_back])
        for i in held_back:
            predicted[i] = code_probability(rows[i][0], curve)
    return predicted


def fit_temperature(rows: Sequence[Row]) -> Temperature:
    """Return the temperature with the smallest log loss.

    A weak prior around 1 prevents an extreme temperature if there are only a few photos.
    """
    right = np.array([correct for _, correct in rows])
    probabilities_at = _probability_function([choice for choice, _ in rows])

    def penalised_loss(temperature: float) -> float:
        probabilities = probabilities_at(temperature)
        likelihood = np.where(right, probabilities, 1 - probabilities).clip(_CLIP, 1)
        return float(-np.log(likelihood).sum()) + math.log(temperature) ** 2 / 2

    best = min(TEMPERATURES, key=penalised_loss)
    return Temperature(temperature=round(best, 4), fitted_on=len(rows))


def _probability_function(choices: Sequence[Choice]) -> Callable[[float], NDArray[np.float64]]:
    """Return a function from a temperature to the probabilities of all choices.

    It does the same as `Choice.at_temperature`, but with arrays. Without arrays, a hundred
    temperatures and thousands of slots would take minutes.
    """
    slots = [(*choice.other_slots, *choice.digits) for choice in choices]
    all_slots = [slot for code_slots in slots for slot in code_slots]
    starts = np.cumsum([0, *map(len, slots[:-1])])
    # Log odds of each option against the chosen one, shape (slots, options of the largest slot).
    # For missing options they are -inf.
    odds = np.full((len(all_slots), max(len(slot.probabilities) for slot in all_slots)), -np.inf)
    for row, slot in zip(odds, all_slots, strict=True):
        logs = np.log(np.maximum(slot.probabilities, _TINY))
        row[: len(logs)] = logs - logs[slot.chosen]
    return lambda temperature: np.exp(
        -np.add.reduceat(np.logaddexp.reduce(odds / temperature, axis=1), starts)
    )


@dataclass(frozen=True, slots=True)
class _Block:
    """A group of rows with neighbouring probabilities.

    Attributes:
        low: Smallest raw probability.
        high: Largest raw probability.
        count: Number of rows.
        hits: Number of correct rows.
    """

    low: float
    high: float
    count: int
    hits: int

    @property
    def share(self) -> float:
        return self.hits / self.count

    @property
    def smoothed(self) -> float:
        """Return the share of correct rows by Laplace's rule of succession. It is never 0 or 1."""
        return (self.hits + 1) / (self.count + 2)

    def __add__(self, higher: _Block) -> _Block:
        return _Block(self.low, higher.high, self.count + higher.count, self.hits + higher.hits)


def fit_isotonic(rows: Sequence[Row]) -> Isotonic:
    """Return a rising curve, fitted with the pool adjacent violators algorithm (Ayer et al., 1955).

    Blocks are merged until first their shares of correct rows, and then their smoothed shares, rise
    from block to block. The curve is constant within a block and linear between blocks.
    """
    outcomes: dict[float, list[bool]] = {}
    for choice, correct in rows:
        outcomes.setdefault(choice.probability, []).append(correct)
    single = [
        _Block(probability, probability, len(hits), sum(hits))
        for probability, hits in sorted(outcomes.items())
    ]
    blocks = _pool(_pool(single, lambda block: block.share), lambda block: block.smoothed)
    points = [
        (round(end, 6), round(block.smoothed, 6))
        for block in blocks
        for end in (block.low, block.high)
    ]
    return Isotonic(points=tuple(points), fitted_on=len(rows))


def _pool(blocks: Sequence[_Block], height: Callable[[_Block], float]) -> list[_Block]:
    """Merge neighbouring blocks until their heights increase from block to block."""
    merged: list[_Block] = []
    for block in blocks:
        while merged and height(merged[-1]) >= height(block):
            block = merged.pop() + block
        merged.append(block)
    return merged
