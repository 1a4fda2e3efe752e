"""Rules for codes, as state machines that read one cut at a time.

They are used to check a code and to count the codes that obey them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

State = tuple[int, ...]


class Rule(Protocol):
    """A rule as a state machine that reads the cuts of a code.

    A cut is given by its level: how many steps it is deeper than the shallowest depth. A rule
    therefore does not depend on how the maker numbers depths.
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
    """The rule that neighbouring cuts differ by at most `limit` levels (MACS).

    State: the level of the last cut.
    """

    limit: int
    start: State = ()

    def step(self, state: State, level: int) -> State | None:
        return None if state and abs(level - state[0]) > self.limit else (level,)

    def accepts(self, state: State) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class AtLeastDepths:
    """The rule that a code has at least `number` different depths.

    State: the levels that have occurred, or one fixed state when there are enough.
    """

    number: int
    start: State = ()

    def step(self, state: State, level: int) -> State | None:
        seen = {*state, level}
        # When there are enough levels, always return the same state: with fewer states, counting is
        # faster.
        return tuple(sorted(seen)) if len(seen) < self.number else tuple(range(-self.number, 0))

    def accepts(self, state: State) -> bool:
        return len(state) >= self.number


@dataclass(frozen=True, slots=True)
class NoRun:
    """The rule that fewer than `length` equal cuts follow each other.

    State: the level of the last cut, and how often it has occurred in a row.
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
    """The rule that the cuts of a code go both up and down.

    State: the level of the last cut, 1 if a cut was higher than the one before it, and 1 if a cut
    was lower.
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
    """The rule that each depth occurs at most `number` times. State: all levels so far, sorted."""

    number: int
    start: State = ()

    def step(self, state: State, level: int) -> State | None:
        return None if state.count(level) >= self.number else tuple(sorted((*state, level)))

    def accepts(self, state: State) -> bool:
        return True
