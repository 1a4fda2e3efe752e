"""Tests of the assessment of a code: its figures, weak patterns and sources, and no code in it."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings

from keylike.keys.bitting import Bitting, BittingError
from keylike.keys.keyspace import key_space
from keylike.keys.keyways import keyway
from keylike.keys.patterns import weak_patterns
from keylike.keys.risk import assess
from keylike.keys.score import level_of
from tests.keys.test_bitting import bittings


def names(record: str, code: str) -> list[str]:
    return [pattern.name for pattern in weak_patterns(Bitting.parse(keyway(record), code))]


@pytest.mark.parametrize(
    ("record", "code", "expected"),
    [
        ("SC1", "25473", []),
        ("SC1", "00000", ["factory_default", "all_equal"]),
        ("SC1", "11111", ["factory_default", "all_equal"]),
        ("SC4", "000000", ["factory_default", "all_equal"]),
        ("KW1", "11111", ["factory_default", "all_equal"]),
        ("SC1", "55555", ["all_equal"]),
        ("SC1", "11467", ["staircase"]),
        ("SC1", "02479", ["staircase"]),
        ("SC1", "76411", ["staircase"]),
        ("SC1", "25252", ["few_depths"]),
        ("SC1", "21117", ["three_in_row"]),
        ("SC1", "25091", ["macs_broken"]),
        ("SC1", "94523", ["deep_first_cut"]),
        ("KW1", "64235", ["deep_first_cut"]),
        ("KW1", "54235", []),
        ("SC1", "22233", ["staircase", "few_depths", "three_in_row"]),
    ],
)
def test_weak_patterns_of_known_codes(record: str, code: str, expected: list[str]) -> None:
    assert names(record, code) == expected


def test_deep_first_cut_is_the_last_depth_if_codes_begin_at_the_tip() -> None:
    assert names("A2", "1325149") == ["deep_first_cut"]
    assert names("A2", "9513241") == []


def test_without_weak_is_the_number_of_codes_without_weak_patterns() -> None:
    record = keyway("KW1")
    codes = (Bitting(record, code) for code in product(record.in_lock_depths, repeat=5))
    sound = sum(
        {pattern.name for pattern in weak_patterns(bitting)} <= {"deep_first_cut"}
        for bitting in codes
    )
    assert sound == key_space(record, 5).without_weak


@pytest.mark.parametrize(
    ("record", "code", "one_in"),
    [("KW1", "35264", 6306), ("SC1", "25473", 79666), ("SC4", "386172", 753754)],
)
def test_keyed_alike_states_how_rare_a_code_is_at_best(record: str, code: str, one_in: int) -> None:
    alike = assess(Bitting.parse(keyway(record), code)).keyed_alike
    assert alike.one_in == one_in
    assert alike.sentence.startswith(f"At best 1 in {one_in:,} {record} keys is cut the same")
    assert "neighbour" not in alike.sentence
    assert "assumption: all codes are used equally" in alike.source


def test_assessment_says_that_a_factory_code_is_more_common() -> None:
    assert "more common" in assess(Bitting.parse(keyway("SC1"), "00000")).keyed_alike.sentence


def test_unusual_codes_are_counted_in_their_own_key_space() -> None:
    assert assess(Bitting.parse(keyway("KW1"), "34756")).keyed_alike.one_in == 10483
    broken = assess(Bitting.parse(keyway("SC1"), "25091"))
    assert broken.keyed_alike.one_in == 100_000
    assert "macs_broken" in [pattern.name for pattern in broken.weak_patterns]


def test_code_without_weak_patterns_on_a_common_keyway_is_fair() -> None:
    assessment = assess(Bitting.parse(keyway("SC1"), "25473"))
    assert assessment.level == "fair"
    assert (assessment.blank.value, assessment.bump_exposure.value) == ("free", "high")
    assert {part.name: (part.points, part.of) for part in assessment.parts} == {
        "key_space": (16, 25),
        "pattern": (35, 35),
        "profile": (6, 10),
        "blank": (0, 15),
        "bumping": (0, 15),
    }


def test_code_of_equal_cuts_is_weak_and_should_be_changed() -> None:
    assessment = assess(Bitting.parse(keyway("KW1"), "11111"))
    assert assessment.level == "weak"
    assert assessment.recommendations[0].startswith("Have the lock rekeyed now")


def test_restricted_keyway_that_resists_bumping_can_be_good() -> None:
    record = replace(keyway("SC4"), blank="restricted", bump_exposure="low")
    assessment = assess(Bitting.parse(record, "386172"))
    assert (assessment.score, assessment.level) == (99, "good")
    assert not any(
        "restricted" in sentence or "Rekey after" in sentence
        for sentence in assessment.recommendations
    )


@pytest.mark.parametrize(
    ("score", "level"),
    [(0, "weak"), (39, "weak"), (40, "fair"), (69, "fair"), (70, "good"), (100, "good")],
)
def test_level_changes_at_scores_40_and_70(score: int, level: str) -> None:
    assert level_of(score) == level


@settings(deadline=None)
@given(bittings())
def test_every_key_can_be_assessed(bitting: Bitting) -> None:
    assessment = assess(bitting)
    assert assessment.score == sum(part.points for part in assessment.parts)
    assert sum(part.of for part in assessment.parts) == 100
    assert all(
        0 <= part.points <= part.of and part.why and part.source for part in assessment.parts
    )
    lines = [
        assessment.keyed_alike.source,
        assessment.blank.source,
        assessment.bump_exposure.source,
    ]
    lines += [
        claim.source for claims in (assessment.weak_patterns, assessment.parts) for claim in claims
    ]
    assert all(set(line.split("; ")) <= set(assessment.sources) for line in lines)
    assert json.loads(json.dumps(assessment.to_dict())) == assessment.to_dict()


@settings(deadline=None)
@given(bittings())
def test_assessment_does_not_contain_the_code(bitting: Bitting) -> None:
    text = json.dumps(assess(bitting).to_dict())
    assert f'"{bitting.format()}"' not in text
    assert not {"codes", "bitting", "cuts_read"} & set(assess(bitting).to_dict())


@pytest.mark.parametrize(
    ("record", "codes"), [("SC1", (2, 5, 4)), ("KW1", (0, 1, 2, 3, 4)), ("SC1", ())]
)
def test_impossible_key_raises_bitting_error(record: str, codes: tuple[int, ...]) -> None:
    with pytest.raises(BittingError):
        assess(Bitting(keyway(record), codes))
