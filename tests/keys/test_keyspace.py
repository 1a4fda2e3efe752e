"""Tests of the numbers of possible codes, against published numbers and by listing all codes."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keylike.keys.keyspace import count, key_space
from keylike.keys.keyways import keyway
from keylike.keys.rules import AtLeastDepths, AtMostEach, MaxStep, NoRun, NotMonotone, Rule, obeys

# For each kind of lock: first the number of cuts, the first and the last depth, the step between
# depths, and the MACS. Then the numbers of codes under these rules:
# 1. no rule;
# 2. the MACS;
# 3. rule 2, and at least two different depths;
# 4. rule 2, and at least three different depths;
# 5. rule 4, and no three equal cuts in a row;
# 6. rule 5, no depth more than three times, and depths that both rise and fall;
# 7. rule 2 and the rules of EN 1303: no depth in more than half of the cuts, and no three equal
#    cuts in a row.
# All numbers were found by listing the codes with another program. arialocks.com (2014/04/22) also
# publishes 6306 and 32768.
FIGURES = {
    "Kwikset 5-pin depths 1-6": ((5, 1, 6, 1, 4), (7776, 6306, 6300, 5880, 5568, 5316, 4856)),
    "Kwikset 5-pin depths 1-7": ((5, 1, 7, 1, 4), (16807, 10483, 10476, 9936, 9474, 8954, 8440)),
    "Kwikset 6-pin depths 1-6": (
        (6, 1, 6, 1, 4),
        (46656, 35954, 35948, 35080, 31776, 30878, 31356),
    ),
    "Schlage 5-pin depths 0-9": (
        (5, 0, 9, 1, 7),
        (100000, 79666, 79656, 78396, 76512, 73620, 72196),
    ),
    "Schlage 6-pin depths 0-9": (
        (6, 0, 9, 1, 7),
        (1000000, 753754, 753744, 751140, 721736, 712312, 718596),
    ),
    "Schlage 5-pin depths 2-9": (
        (5, 2, 9, 1, 7),
        (32768, 32768, 32760, 31920, 30912, 29904, 28560),
    ),
    "Schlage 5-pin depths 1-9": (
        (5, 1, 9, 1, 7),
        (59049, 53769, 53760, 52710, 51282, 49518, 47978),
    ),
    "Schlage 5-pin even depths": ((5, 0, 8, 2, 7), (3125, 2309, 2304, 2034, 1890, 1788, 1566)),
    "Weiser or Yale 5-pin MACS 5": (
        (5, 0, 9, 1, 5),
        (100000, 44692, 44682, 43632, 42312, 39656, 39392),
    ),
    "Weiser 5-pin MACS 6": ((5, 0, 9, 1, 6), (100000, 62948, 62938, 61768, 60136, 57304, 56456)),
    "Master 4-pin depths 0-7": ((4, 0, 7, 1, 7), (4096, 4096, 4088, 3696, 3696, 3220, 3864)),
}


@pytest.mark.parametrize(("space", "figures"), FIGURES.values(), ids=FIGURES)
def test_count_matches_the_known_numbers_of_codes(
    space: tuple[int, int, int, int, int], figures: tuple[int, ...]
) -> None:
    cuts, first, last, step, limit = space
    macs, three, no_run = MaxStep(limit), AtLeastDepths(3), NoRun(3)
    rule_sets: tuple[tuple[Rule, ...], ...] = (
        (),
        (macs,),
        (macs, AtLeastDepths(2)),
        (macs, three),
        (macs, three, no_run),
        (macs, three, no_run, AtMostEach(3), NotMonotone()),
        (macs, no_run, AtMostEach(cuts // 2)),
    )
    assert tuple(count(cuts, range(first, last + 1, step), rules) for rules in rule_sets) == figures


@pytest.mark.parametrize(
    ("name", "theoretical", "after_macs", "without_weak"),
    [
        ("KW1", 7776, 6306, 5316),
        ("SC1", 100000, 79666, 73620),
        ("SC4", 1000000, 753754, 716040),
        ("KW10", 46656, 35954, 31494),
    ],
)
def test_key_space_of_a_keyway_has_the_known_numbers_of_codes(
    name: str, theoretical: int, after_macs: int, without_weak: int
) -> None:
    space = key_space(keyway(name), keyway(name).cuts)
    assert (space.theoretical, space.after_macs) == (theoretical, after_macs)
    assert space.without_weak == without_weak


def test_key_space_can_use_other_depths_than_the_locks() -> None:
    space = key_space(keyway("KW1"), 5, tuple(keyway("KW1").depths_mm))
    assert (space.theoretical, space.after_macs) == (16807, 10483)


def test_key_space_without_macs_allows_every_code() -> None:
    space = key_space(keyway("130K"), 4)
    assert space.after_macs == space.theoretical == 256


RULES = st.lists(
    st.one_of(
        st.builds(MaxStep, st.integers(0, 4)),
        st.builds(AtLeastDepths, st.integers(1, 4)),
        st.builds(NoRun, st.integers(2, 4)),
        st.builds(AtMostEach, st.integers(1, 4)),
        st.just(NotMonotone()),
    ),
    max_size=3,
)


@settings(deadline=None)
@given(
    cuts=st.integers(1, 5), levels=st.sets(st.integers(0, 9), min_size=1, max_size=5), rules=RULES
)
def test_count_equals_the_number_of_listed_codes(
    cuts: int, levels: set[int], rules: list[Rule]
) -> None:
    listed = sum(
        all(obeys(rule, code) for rule in rules) for code in product(sorted(levels), repeat=cuts)
    )
    assert count(cuts, sorted(levels), rules) == listed


@pytest.mark.parametrize(
    ("rule", "kept", "broken"),
    [
        (MaxStep(4), (1, 5, 1), (1, 6, 1)),
        (AtLeastDepths(3), (1, 2, 3, 1), (1, 2, 1, 2)),
        (NoRun(3), (1, 1, 2, 1, 1), (2, 1, 1, 1)),
        (NotMonotone(), (1, 2, 2, 1), (1, 1, 2, 5)),
        (NotMonotone(), (5, 1, 5), (5, 5, 1, 0)),
        (AtMostEach(2), (1, 2, 1, 2), (1, 2, 1, 1)),
    ],
)
def test_each_rule_accepts_one_code_and_rejects_another(
    rule: Rule, kept: tuple[int, ...], broken: tuple[int, ...]
) -> None:
    assert obeys(rule, kept)
    assert not obeys(rule, broken)
