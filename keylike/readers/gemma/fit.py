"""Fits the calibration of whole codes on photos whose codes are known: a temperature or an isotonic line, whichever foretells better."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keylike.readers.evaluation import calibration_error
from keylike.readers.gemma.confidence import whole
from keylike.readers.gemma.manifest import Isotonic, Temperature
from keylike.readers.gemma.model_output import Choice

Row = tuple[Choice, bool]
Curve = Temperature | Isotonic
FEWEST = 20
FEWEST_ISOTONIC = 100
FOLDS = 5
# Temperatures from 0.05 to 20, each 5 % above the one before: finer than some hundred photos can tell apart.
TEMPERATURES: tuple[float, ...] = tuple(0.05 * 400.0 ** (step / 120) for step in range(121))
# A promise of 0 or 1 that fails costs this much and no more.
_EDGE = 1e-6
# In place of 0, whose logarithm is no number.
_NOTHING = 1e-300


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration fitted on all rows, and what each row, in order, was promised by one fitted without it."""

    calibration: Curve
    promised: tuple[float, ...]


def fit(rows: Sequence[Row]) -> Curve:
    """The calibration for rows of (first choice, whether its whole code was right); `error` is of rows that were held back.

    Raises ValueError, saying what is missing, where too little is known to fit anything.
    """
    return cross_fit(rows).calibration


def cross_fit(rows: Sequence[Row]) -> Fitted:
    """The same, with what the held-back rows were promised. Raises ValueError as `fit` does."""
    refuse_too_little(rows)
    ways: list[Callable[[Sequence[Row]], Curve]] = [fit_temperature]
    if len(rows) >= FEWEST_ISOTONIC:
        ways.append(fit_isotonic)
    right = [hit for _, hit in rows]
    tried = [(way, _held_back(rows, way)) for way in ways]
    way, promised = min(tried, key=lambda one: log_loss(list(zip(one[1], right, strict=True))))
    error = calibration_error(list(zip(promised, right, strict=True)))
    return Fitted(way(rows).model_copy(update={"error": error}), tuple(promised))


def refuse_too_little(rows: Sequence[Row]) -> None:
    """Raises ValueError, saying how many photos are missing, for fewer than FEWEST rows and for rows all right or all wrong."""
    if len(rows) < FEWEST:
        raise ValueError(
            f"a calibration needs {FEWEST} photos that were read, and {len(rows)} were: label {FEWEST - len(rows)} more"
        )
    hits = sum(hit for _, hit in rows)
    if hits in (0, len(rows)):
        how, other = ("right", "harder") if hits else ("wrong", "easier")
        raise ValueError(
            f"all {len(rows)} photos were read {how}, which does not tell how sure to be: "
            f"label {FEWEST} {other} ones more, so that some are read {'wrong' if hits else 'right'}"
        )


def log_loss(sure: Sequence[tuple[float, bool]]) -> float:
    """Mean surprise, in nats, over rows of (promised probability, whether it was right)."""
    return math.fsum(_surprise(chance, right) for chance, right in sure) / len(sure)


def _surprise(chance: float, right: bool) -> float:
    return -math.log(min(1.0, max(_EDGE, chance if right else 1 - chance)))


def _held_back(rows: Sequence[Row], way: Callable[[Sequence[Row]], Curve]) -> list[float]:
    """What each row is promised by the calibration fitted on the other folds; right and wrong rows are dealt out evenly."""
    order = list(range(len(rows)))
    random.Random(0).shuffle(order)
    order.sort(key=lambda i: rows[i][1])
    promised = [0.0] * len(rows)
    for fold in range(FOLDS):
        held = set(order[fold::FOLDS])
        curve = way([row for i, row in enumerate(rows) if i not in held])
        for i in held:
            promised[i] = whole(rows[i][0], curve)
    return promised


def fit_temperature(rows: Sequence[Row]) -> Temperature:
    """The temperature of TEMPERATURES that surprises least. A weak pull to 1 keeps few photos from driving it to an end."""
    right = np.array([hit for _, hit in rows])
    chances_at = _chances([choice for choice, _ in rows])

    def surprise(temperature: float) -> float:
        chances = chances_at(temperature)
        kept = np.where(right, chances, 1 - chances).clip(_EDGE, 1)
        return float(-np.log(kept).sum()) + math.log(temperature) ** 2 / 2

    best = min(TEMPERATURES, key=surprise)
    return Temperature(temperature=round(best, 4), fitted_on=len(rows))


def _chances(choices: Sequence[Choice]) -> Callable[[float], NDArray[np.float64]]:
    """Choice.at of all choices at once: a hundred temperatures over thousands of slots would take minutes one by one."""
    slots = [(*choice.others, *choice.digits) for choice in choices]
    flat = [slot for each in slots for slot in each]
    starts = np.cumsum([0, *map(len, slots[:-1])])
    # Log odds against what was taken, (slots, widest slot); what a slot does not have is infinitely unlikely.
    odds = np.full((len(flat), max(len(slot.probabilities) for slot in flat)), -np.inf)
    for row, slot in zip(odds, flat, strict=True):
        logs = np.log(np.maximum(slot.probabilities, _NOTHING))
        row[: len(logs)] = logs - logs[slot.taken]
    return lambda temperature: np.exp(
        -np.add.reduceat(np.logaddexp.reduce(odds / temperature, axis=1), starts)
    )


@dataclass(frozen=True, slots=True)
class _Block:
    """Neighbouring rows taken together: their least and greatest probability as it comes, how many, how many were right."""

    low: float
    high: float
    count: int
    hits: int

    @property
    def share(self) -> float:
        return self.hits / self.count

    @property
    def smoothed(self) -> float:
        """Laplace's rule: never 0 or 1, however few rows."""
        return (self.hits + 1) / (self.count + 2)

    def __add__(self, higher: _Block) -> _Block:
        return _Block(self.low, higher.high, self.count + higher.count, self.hits + higher.hits)


def fit_isotonic(rows: Sequence[Row]) -> Isotonic:
    """A rising line by pooling adjacent violators (Ayer and others, 1955): first by the shares themselves, then by the smoothed ones.

    It is level over each block and straight between the blocks.
    """
    alike: dict[float, list[bool]] = {}
    for choice, hit in rows:
        alike.setdefault(choice.probability, []).append(hit)
    single = [
        _Block(chance, chance, len(hits), sum(hits)) for chance, hits in sorted(alike.items())
    ]
    blocks = _pool(_pool(single, lambda block: block.share), lambda block: block.smoothed)
    points = [
        (round(end, 6), round(block.smoothed, 6))
        for block in blocks
        for end in (block.low, block.high)
    ]
    return Isotonic(points=tuple(points), fitted_on=len(rows))


def _pool(blocks: Sequence[_Block], height: Callable[[_Block], float]) -> list[_Block]:
    """Takes neighbours together until their heights rise."""
    kept: list[_Block] = []
    for block in blocks:
        while kept and height(kept[-1]) >= height(block):
            block = kept.pop() + block
        kept.append(block)
    return kept
