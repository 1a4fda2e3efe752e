"""The weak patterns that a code can have, each with a name, an explanation and a source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keylike.keys.bitting import Bitting
from keylike.keys.keyspace import macs_rules
from keylike.keys.keyways import Keyway
from keylike.keys.rules import AtLeastDepths, NoRun, NotMonotone, Rule, obeys

# Sources of the statements below, as the API returns them.
LOCKSMITHS = "verified locksmiths on reddit.com/r/AskALocksmith (thread y9e88s)"
UNION = "uniononline.co.uk, master keying rules (manufacturer)"
EN_1303 = "fedelebron/lock_toys, its reading of EN 1303"
MANY_OPEN = (
    "public code that lists the codes which open a lock while the key is withdrawn "
    "(author not known)"
)
DEEP_PART = 0.8
"""A first cut counts as very deep from this share of the deepest level on. An assumption."""


@dataclass(frozen=True, slots=True)
class WeakPattern:
    """A weakness of a code.

    Attributes:
        name: a word for programs.
        explanation: a sentence for the owner. It never contains the code.
        source: the source of the explanation.
        cost: number of points that are deducted from the score (an assumption).
    """

    name: str
    explanation: str
    source: str
    cost: int


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    cost: int
    found: Callable[[Bitting], bool]
    explanation: str
    source: Callable[[Keyway], str]

    def pattern(self, bitting: Bitting) -> WeakPattern:
        return WeakPattern(self.name, self.explanation, self.source(bitting.keyway), self.cost)


def weak_patterns(bitting: Bitting) -> tuple[WeakPattern, ...]:
    """Return the weak patterns of a code, worst first.

    Raises:
        BittingError: The keyway does not have one of the depths.
    """
    found = [check.pattern(bitting) for check in _CHECKS if check.found(bitting)]
    names = {pattern.name for pattern in found}
    # Equal cuts also cause other patterns. They are left out because they add no information.
    return tuple(
        pattern
        for pattern in found
        if "all_equal" not in names or pattern.name not in _IMPLIED_BY_ALL_EQUAL
    )


def _breaks(rule: Rule) -> Callable[[Bitting], bool]:
    return lambda bitting: not obeys(rule, bitting.levels)


def _breaks_macs(bitting: Bitting) -> bool:
    return not all(obeys(rule, bitting.levels) for rule in macs_rules(bitting.keyway))


def _is_factory_default(bitting: Bitting) -> bool:
    return "".join(map(str, bitting.codes)) in bitting.keyway.factory_codes


def _first_cut_is_deep(bitting: Bitting) -> bool:
    at_bow = bitting.levels[0 if bitting.keyway.order == "bow_to_tip" else -1]
    return at_bow >= DEEP_PART * (len(bitting.keyway.depths_mm) - 1)


def _always(source: str) -> Callable[[Keyway], str]:
    return lambda keyway: source


_IMPLIED_BY_ALL_EQUAL = {"staircase", "few_depths", "three_in_row"}
_CHECKS = (
    _Check(
        "factory_default",
        35,
        _is_factory_default,
        "Locks are sold with this code, so it is no secret.",
        lambda keyway: keyway.source_of("factory_codes"),
    ),
    _Check(
        "all_equal",
        35,
        _breaks(AtLeastDepths(2)),
        "All cuts are equally deep: the key is flat, easily guessed and easily copied.",
        _always(LOCKSMITHS),
    ),
    _Check(
        "macs_broken",
        20,
        _breaks_macs,
        (
            "Two neighbouring cuts differ by more than the maker allows (MACS), so one cut "
            "removes part of the other. The key may work badly, be worn, or have been misread."
        ),
        lambda keyway: keyway.source_of("macs"),
    ),
    _Check(
        "staircase",
        20,
        _breaks(NotMonotone()),
        (
            "The cuts only get deeper or only shallower, like a staircase: locksmiths "
            "avoid such codes."
        ),
        _always(LOCKSMITHS),
    ),
    _Check(
        "few_depths",
        20,
        _breaks(AtLeastDepths(3)),
        (
            "The code has fewer than three different depths. Few such codes exist, and "
            "equal cuts let more other keys open the lock."
        ),
        _always(f"{LOCKSMITHS}; {MANY_OPEN}"),
    ),
    _Check(
        "three_in_row",
        12,
        _breaks(NoRun(3)),
        "Three neighbouring cuts are equal, which the rules for good locks forbid.",
        _always(f"{UNION}; {EN_1303}"),
    ),
    _Check(
        "deep_first_cut",
        5,
        _first_cut_is_deep,
        "The first cut, next to the bow, is very deep: this is where keys break most easily.",
        _always(f"{LOCKSMITHS}; assumption: very deep starts at {DEEP_PART:.0%} of the deepest"),
    ),
)
