"""What the model said about one photo, as probabilities: plain values, so that calibration and tests need no PyTorch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Trust(StrEnum):
    """How a code was come by: its slots were forced, its line bore a label, or it was a loose run of digits."""

    SLOTS = "slots"
    LABELLED = "labelled"
    LOOSE = "loose"


@dataclass(frozen=True, slots=True)
class Slot:
    """One choice the model made: its probabilities over everything that could stand there (summing to 1), and the index taken."""

    probabilities: tuple[float, ...]
    taken: int

    @property
    def probability(self) -> float:
        """Of what was taken."""
        return self.probabilities[self.taken]

    def at(self, temperature: float) -> float:
        """The same with the model's logits divided by `temperature`; equal to a softmax of logit/temperature."""
        top = max(self.probabilities)
        raised = [(p / top) ** (1 / temperature) if p > 0 else 0.0 for p in self.probabilities]
        return raised[self.taken] / sum(raised)


@dataclass(frozen=True, slots=True)
class Choice:
    """One whole code, bow to tip in the maker's numbers.

    `digits` has one slot a cut, `others` the choices besides: the keyway, where to stop.
    """

    keyway: str
    codes: tuple[int, ...]
    digits: tuple[Slot, ...]
    others: tuple[Slot, ...] = ()

    @property
    def probability(self) -> float:
        """Joint probability of the whole code under the model, as it comes."""
        return self.at(1.0)

    def at(self, temperature: float) -> float:
        """The joint probability with all logits divided by `temperature`."""
        return math.prod(slot.at(temperature) for slot in (*self.others, *self.digits))


@dataclass(frozen=True, slots=True)
class Scores:
    """Everything heard about one photo. `choices` are ranked, possible codes alone; empty when there is none.

    `no_key` is the probability that the model says there is no key; `mass` the least share of its own unconstrained probability
    that it gave to digits at the first choice's cuts: low when it did not want to write a code at all.
    """

    choices: tuple[Choice, ...]
    no_key: float
    mass: float
    trust: Trust
