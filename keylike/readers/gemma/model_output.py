"""The probabilities of the model for one photo.

They are plain numbers, so that calibration and tests do not need PyTorch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Trust(StrEnum):
    """How a code was found.

    SLOTS: in the slots of the template. LABELLED: in free text, after a label such as BITTING.
    LOOSE: in free text without a label.
    """

    SLOTS = "slots"
    LABELLED = "labelled"
    LOOSE = "loose"


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of the reply for which the model chose one of several options.

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
        """Return the probability of the chosen option if all logits are divided by `temperature`."""
        peak = max(self.probabilities)
        powers = [(p / peak) ** (1 / temperature) if p > 0 else 0.0 for p in self.probabilities]
        return powers[self.chosen] / sum(powers)


@dataclass(frozen=True, slots=True)
class Choice:
    """One possible code, bow to tip, in the maker's numbers.

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
        """Return the probability of the whole code without calibration: the product of all slots."""
        return self.at_temperature(1.0)

    def at_temperature(self, temperature: float) -> float:
        """Return the probability of the whole code if all logits are divided by `temperature`."""
        return math.prod(
            slot.at_temperature(temperature) for slot in (*self.other_slots, *self.digits)
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of the model for one photo.

    Attributes:
        choices: Possible codes, most probable first; empty if there are none.
        no_key: Probability of the reply that there is no key.
        mass: Probability that the model gives to all allowed tokens together, at the position where
            it is smallest. A low value means that the model would not have written a code.
        trust: How the codes were found.
    """

    choices: tuple[Choice, ...]
    no_key: float
    mass: float
    trust: Trust
