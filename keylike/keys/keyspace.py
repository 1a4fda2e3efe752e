"""Owns the counting of codes: how many a keyway can have, and how many are left under its maker's rules and without weak ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from keylike.keys.keyways import Keyway
from keylike.keys.rules import AtLeastDepths, MaxStep, NoRun, NotMonotone, Rule, State

NOT_WEAK: tuple[Rule, ...] = (AtLeastDepths(3), NoRun(3), NotMonotone())
"""Rules that a code without a weak pattern keeps; all-equal codes break each of them."""


@dataclass(frozen=True, slots=True)
class KeySpace:
    """How many codes a keyway has for one number of cuts: every one, those MACS allows, and of these those without a weak pattern."""

    cuts: int
    depths: tuple[int, ...]
    theoretical: int
    after_macs: int
    without_weak: int


def count(cuts: int, levels: Sequence[int], rules: Sequence[Rule] = ()) -> int:
    """How many codes of `cuts` cuts out of `levels` (steps below the shallowest depth) keep every rule.

    Counts the ways to each state of the rules' memories, cut by cut (a transfer matrix held as a table of its non-zero
    entries), and so never lists the codes.
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
    tried = (
        tuple(rule.step(state, level) for rule, state in zip(rules, states, strict=True))
        for level in levels
    )
    return [
        tuple(state for state in moved if state is not None) for moved in tried if None not in moved
    ]


def _accepted(rules: Sequence[Rule], states: tuple[State, ...]) -> bool:
    return all(rule.accepts(state) for rule, state in zip(rules, states, strict=True))


def macs_rules(keyway: Keyway) -> tuple[Rule, ...]:
    """The keyway's MACS as a rule, or none where no limit is known."""
    return () if keyway.macs is None else (MaxStep(keyway.macs),)


@cache
def key_space(keyway: Keyway, cuts: int, depths: tuple[int, ...] | None = None) -> KeySpace:
    """The key space of a keyway; `depths` are the depth numbers in use, by default those that its locks use."""
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
