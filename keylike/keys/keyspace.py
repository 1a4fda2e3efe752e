"""The number of codes of a keyway: all, those that MACS allows, and those without weak patterns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from keylike.keys.keyways import Keyway
from keylike.keys.rules import AtLeastDepths, MaxStep, NoRun, NotMonotone, Rule, State

NOT_WEAK: tuple[Rule, ...] = (AtLeastDepths(3), NoRun(3), NotMonotone())
"""The rules that a code must obey to count as not weak. A code with equal cuts breaks all three."""


@dataclass(frozen=True, slots=True)
class KeySpace:
    """The numbers of codes of a keyway for keys with a certain number of cuts.

    Attributes:
        cuts: number of cuts.
        depths: depth numbers that a cut may have.
        theoretical: number of all codes.
        after_macs: number of codes that MACS allows.
        without_weak: number of codes that MACS allows and that have no weak pattern.
    """

    cuts: int
    depths: tuple[int, ...]
    theoretical: int
    after_macs: int
    without_weak: int


def count(cuts: int, levels: Sequence[int], rules: Sequence[Rule] = ()) -> int:
    """Return the number of codes that obey all rules, without enumerating the codes.

    It goes through the cuts one by one. For each combination of states of the rules, it keeps the
    number of partial codes that lead to it.

    Args:
        cuts: number of cuts of a code.
        levels: allowed levels of a cut (steps deeper than the shallowest depth).
        rules: rules that the codes must obey.
    """
    ways: Counter[tuple[State, ...]] = Counter({tuple(rule.start for rule in rules): 1})
    for _ in range(cuts):
        following: Counter[tuple[State, ...]] = Counter()
        for states, number in ways.items():
            for moved in _moves(rules, states, levels):
                following[moved] += number
        ways = following
    return sum(number for states, number in ways.items() if _accepted(rules, states))


def _moves(
    rules: Sequence[Rule], states: tuple[State, ...], levels: Sequence[int]
) -> list[tuple[State, ...]]:
    next_states = (
        tuple(rule.step(state, level) for rule, state in zip(rules, states, strict=True))
        for level in levels
    )
    return [
        tuple(state for state in moved if state is not None)
        for moved in next_states
        if None not in moved
    ]


def _accepted(rules: Sequence[Rule], states: tuple[State, ...]) -> bool:
    return all(rule.accepts(state) for rule, state in zip(rules, states, strict=True))


def macs_rules(keyway: Keyway) -> tuple[Rule, ...]:
    """Return a tuple with the keyway's MACS as a rule; an empty tuple if MACS is unknown."""
    return () if keyway.macs is None else (MaxStep(keyway.macs),)


@cache
def key_space(keyway: Keyway, cuts: int, depths: tuple[int, ...] | None = None) -> KeySpace:
    """Return the numbers of codes of a keyway.

    Args:
        keyway: the keyway.
        cuts: number of cuts.
        depths: depth numbers that a cut may have; None for those that are used in locks.
    """
    used = keyway.in_lock_depths if depths is None else depths
    order = tuple(keyway.depths_mm)
    levels = tuple(order.index(depth) for depth in used)
    macs = macs_rules(keyway)
    return KeySpace(
        cuts=cuts,
        depths=used,
        theoretical=len(levels) ** cuts,
        after_macs=count(cuts, levels, macs),
        without_weak=count(cuts, levels, (*macs, *NOT_WEAK)),
    )
