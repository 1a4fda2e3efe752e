"""Rules for codes, as automata that read one cut at a time.

They serve to check and to count codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

State = tuple[int, ...]


class Rule(Protocol):
    """A rule as an automaton over the cuts of a code.

    Cuts are given as levels, the steps below the shallowest depth. The numbering of depths
    therefore does not matter.
    """

    @property
    def start(self) -> State:
        """Return the state before the first cut."""

    def step(self, state: State, level: int) -> State | None:
        """Return the state after one more cut, or None if the cut breaks the rule."""

    def accepts(self, state: State) -> bool:
        """Return True if a code that ends in this state obeys the rule."""


def obeys(rule: Rule, levels: Sequence[int]) -> bool:
    """Return True if a code obeys a rule."""
    state = rule.start
    for level in levels:
        after = rule.step(state, level)
        if after is None:
            return False
        state = after
    return rule.accepts(state)


@dataclass(frozen=True, slots=True)
class MaxStep:
    """A limit on the difference of neighbouring cuts (MACS). State: the last level."""

    limit: int
    start: State = ()

    def step(self, state: State, level: int) -> State | None:
        return None if state and abs(level - state[0]) > self.limit else (level,)

    def accepts(self, state: State) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class AtLeastDepths:
    """A minimum number of different depths. State: the depths seen, until there are enough."""

    number: int
    start: State = ()

    def step(self, state: State, level: int) -> State | None:
        seen = {*state, level}
        # Once there are enough depths, a single state stands for all; fewer states count faster.
        return tuple(sorted(seen)) if len(seen) < self.number else tuple(range(-self.number, 0))

    def accepts(self, state: State) -> bool:
        return len(state) >= self.number


@dataclass(frozen=True, slots=True)
class NoRun:
    """A limit on equal cuts in a row: fewer than `length`.

    State: the last level and its run length.
    """

    length: int
    start: State = ()

    def step(self, state: State, level: int) -> State | None:
        run = state[1] + 1 if state and state[0] == level else 1
        return None if run >= self.length else (level, run)

    def accepts(self, state: State) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class NotMonotone:
    """A rule that the cuts go both up and down.

    State: the last level, and whether it rose and fell.
    """

    start: State = ()

    def step(self, state: State, level: int) -> State | None:
        if not state:
            return (level, 0, 0)
        last, rose, fell = state
        return (level, int(rose or level < last), int(fell or level > last))

    def accepts(self, state: State) -> bool:
        return bool(state) and bool(state[1] and state[2])


@dataclass(frozen=True, slots=True)
class AtMostEach:
    """A limit on how often each depth occurs. State: all levels, sorted."""

    number: int
    start: State = ()

    def step(self, state: State, level: int) -> State | None:
        return None if state.count(level) >= self.number else tuple(sorted((*state, level)))

    def accepts(self, state: State) -> bool:
        return True
