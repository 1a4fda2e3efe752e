"""Probabilities that the model assigned for one photo.

These are plain values, so that calibration and tests need no PyTorch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Trust(StrEnum):
    """How a code was obtained: from forced slots, from a labelled line, or from loose digits."""

    SLOTS = "slots"
    LABELLED = "labelled"
    LOOSE = "loose"


@dataclass(frozen=True, slots=True)
class Slot:
    """One choice of the model.

    Attributes:
        probabilities: Probabilities of all options, summing to 1.
        chosen: Index of the chosen option.
    """

    probabilities: tuple[float, ...]
    chosen: int

    @property
    def probability(self) -> float:
        """Return the probability of the chosen option."""
        return self.probabilities[self.chosen]

    def at_temperature(self, temperature: float) -> float:
        """Return the same probability with the model's logits divided by `temperature`.

        This equals softmax(logits / temperature).
        """
        peak = max(self.probabilities)
        powers = [(p / peak) ** (1 / temperature) if p > 0 else 0.0 for p in self.probabilities]
        return powers[self.chosen] / sum(powers)


@dataclass(frozen=True, slots=True)
class Choice:
    """One whole code, bow to tip, in the maker's numbers.

    Attributes:
        keyway: Name of the keyway.
        codes: Depths, bow to tip.
        digits: One slot per cut.
        other_slots: Slots for the keyway and for the end of the code.
    """

    keyway: str
    codes: tuple[int, ...]
    digits: tuple[Slot, ...]
    other_slots: tuple[Slot, ...] = ()

    @property
    def probability(self) -> float:
        """Return the uncalibrated joint probability of the whole code."""
        return self.at_temperature(1.0)

    def at_temperature(self, temperature: float) -> float:
        """Return the joint probability with all logits divided by `temperature`."""
        return math.prod(
            slot.at_temperature(temperature) for slot in (*self.other_slots, *self.digits)
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of the model for one photo.

    Attributes:
        choices: Ranked possible codes; empty if there are none.
        no_key: Probability of the reply that there is no key.
        mass: Least share of unconstrained probability that digits have at the first choice's cuts.
            A low value means that the model did not want to write a code.
        trust: How the codes were obtained.
    """

    choices: tuple[Choice, ...]
    no_key: float
    mass: float
    trust: Trust
