"""Broken pictures: the same for the same number, of every kind that is taken, and each refused or decoded but nothing else."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keylike.images.photo import ACCEPTED, image_format, open_photo
from tools.fuzzing.blocks import blocks
from tools.fuzzing.damage import ANYWHERE, IN_BLOCKS, Damage
from tools.fuzzing.exif import exif_mutilated
from tools.fuzzing.intake.doors import look_at, seeds
from tools.fuzzing.pictures import broken
from tools.fuzzing.sound import sound_pictures

REFUSALS = {"no_image", "bad_image", "image_too_large", "unsupported_image_type"}


def test_the_pictures_to_break_are_sound_and_of_every_kind() -> None:
    for larger in (False, True):
        still = (
            picture for picture in sound_pictures(larger) if picture[8:12] != b"avis"
        )  # moving AVIF is there to be refused
        assert {open_photo(picture).format for picture in still} == set(ACCEPTED)


@pytest.mark.parametrize("kind", ACCEPTED)
def test_blocks_are_found_in_every_kind(kind: str) -> None:
    for picture in (each for each in sound_pictures() if image_format(each) == kind):
        found = blocks(picture)
        assert found
        assert all(block.start < block.end <= len(picture) for block in found)
        assert [block.start for block in found] == sorted(block.start for block in found)


def test_the_same_number_gives_the_same_picture() -> None:
    some = [broken(number) for number in range(200)]
    assert some == [broken(number) for number in range(200)]
    assert len(set(some)) > 180


def test_they_are_broken_in_every_way() -> None:
    outcomes = Counter(
        (look_at(b"\0" + broken(number)), image_format(broken(number))) for number in range(1500)
    )
    assert {code for code, _ in outcomes} | {"no_image"} == REFUSALS | set(ACCEPTED)
    assert {kind for code, kind in outcomes if code == "bad_image"} == set(ACCEPTED)
    assert {kind for code, kind in outcomes if code == "image_too_large"} >= {
        "JPEG",
        "PNG",
        "WEBP",
        "GIF",
    }


@pytest.mark.parametrize(
    "damage", [*ANYWHERE, *IN_BLOCKS, exif_mutilated], ids=lambda damage: damage.__name__
)
def test_each_damage_changes_every_kind(damage: Damage) -> None:
    for picture in sound_pictures():
        assert any(damage(Random(number), picture) != picture for number in range(5))
    assert isinstance(damage(Random(1), b""), bytes)


@given(st.integers(0, 1 << 64))
@settings(max_examples=400, deadline=None)
def test_whatever_is_broken_is_refused_or_a_bounded_photo(number: int) -> None:
    assert look_at(b"\0" + broken(number)) in REFUSALS | set(ACCEPTED)


@given(st.sampled_from(list(seeds(0))), st.randoms(use_true_random=False))
@settings(max_examples=400, deadline=None)
def test_whatever_comes_through_any_door_of_the_intake(seed: bytes, chance: Random) -> None:
    damaged = chance.choice(ANYWHERE)(chance, seed)
    assert look_at(damaged) in {*REFUSALS, *ACCEPTED, "bad_request", "bad_zipcode", "read"}


def test_what_is_not_the_projects_own_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_decoder(data: bytes, **_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("tools.fuzzing.intake.doors.open_photo", broken_decoder)
    with pytest.raises(ZeroDivisionError):
        look_at(b"\0" + sound_pictures()[0])
