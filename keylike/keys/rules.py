"""Owns the rules a code may be held to, each reading it one cut at a time, so that one rule serves checking and counting alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

State = tuple[int, ...]


class Rule(Protocol):
    """What a rule must remember of the cuts so far (`State`), how a cut changes that, and whether the end is accepted.

    Cuts come as levels: steps below the shallowest depth, so that depth numbers and their order do not matter.
    """

    @property
    def start(self) -> State:
        """What is remembered before the first cut."""

    def step(self, state: State, level: int) -> State | None:
        """What is remembered after one more cut; None when that cut breaks the rule for good."""

    def accepts(self, state: State) -> bool:
        """Whether a code that ends here keeps the rule."""


def obeys(rule: Rule, levels: Sequence[int]) -> bool:
    """Whether one code keeps a rule."""
    state = rule.start
    for level in levels:
        after = rule.step(state, level)
        if after is None:
            return False
        state = after
    return rule.accepts(state)


@dataclass(frozen=True, slots=True)
class MaxStep:
    """Neighbouring cuts differ by at most `limit` (MACS). Remembers the last level."""

    limit: int
    start: State = ()

    def step(self, state: State, level: int) -> State | None:
        return None if state and abs(level - state[0]) > self.limit else (level,)

    def accepts(self, state: State) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class AtLeastDepths:
    """At least `number` different depths. Remembers those seen, until there are enough."""

    number: int
    start: State = ()

    def step(self, state: State, level: int) -> State | None:
        seen = {*state, level}
        # Enough is enough: which ones no longer matters, and fewer states count faster.
        return tuple(sorted(seen)) if len(seen) < self.number else tuple(range(-self.number, 0))

    def accepts(self, state: State) -> bool:
        return len(state) >= self.number


@dataclass(frozen=True, slots=True)
class NoRun:
    """Never `length` equal cuts in a row. Remembers the last level and how often it has come."""

    length: int
    start: State = ()

    def step(self, state: State, level: int) -> State | None:
        run = state[1] + 1 if state and state[0] == level else 1
        return None if run >= self.length else (level, run)

    def accepts(self, state: State) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class NotMonotone:
    """Goes both up and down, counting no change as neither. Remembers the last level, and whether it rose and fell."""

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
    """No depth more than `number` times. Remembers all levels so far, in order of depth."""

    number: int
    start: State = ()

    def step(self, state: State, level: int) -> State | None:
        return None if state.count(level) >= self.number else tuple(sorted((*state, level)))

    def accepts(self, state: State) -> bool:
        return True
