"""Tests of the generator of broken pictures, and that each of them is decoded or refused."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keylike.images.formats import ACCEPTED, image_format
from keylike.images.photo import open_photo
from tools.fuzzing.blocks import blocks
from tools.fuzzing.broken_pictures import broken_picture
from tools.fuzzing.coverage_guided.entry_points import fuzz_one_input, seeds
from tools.fuzzing.exif import insert_broken_exif
from tools.fuzzing.mutations import BLOCK_MUTATIONS, BYTE_MUTATIONS, Mutation
from tools.fuzzing.valid_pictures import valid_pictures

REFUSALS = {"no_image", "bad_image", "image_too_large", "unsupported_image_type"}


def test_valid_pictures_of_every_format_are_decoded() -> None:
    for larger in (False, True):
        # Leave out the animated AVIF, because it must be refused.
        still_pictures = (picture for picture in valid_pictures(larger) if picture[8:12] != b"avis")
        assert {open_photo(picture).format for picture in still_pictures} == set(ACCEPTED)


@pytest.mark.parametrize("kind", ACCEPTED)
def test_blocks_of_a_picture_are_found_in_every_format(kind: str) -> None:
    for picture in (each for each in valid_pictures() if image_format(each) == kind):
        found = blocks(picture)
        assert found
        assert all(block.start < block.end <= len(picture) for block in found)
        assert [block.start for block in found] == sorted(block.start for block in found)


def test_broken_picture_is_the_same_for_the_same_seed() -> None:
    pictures = [broken_picture(number) for number in range(200)]
    assert pictures == [broken_picture(number) for number in range(200)]
    assert len(set(pictures)) > 180


def test_broken_pictures_cause_every_refusal_in_every_format() -> None:
    outcomes = Counter(
        (fuzz_one_input(b"\0" + broken_picture(number)), image_format(broken_picture(number)))
        for number in range(1500)
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
    "mutation",
    [*BYTE_MUTATIONS, *BLOCK_MUTATIONS, insert_broken_exif],
    ids=lambda mutation: mutation.__name__,
)
def test_every_mutation_changes_pictures_of_every_format(mutation: Mutation) -> None:
    for picture in valid_pictures():
        assert any(mutation(Random(number), picture) != picture for number in range(5))
    assert isinstance(mutation(Random(1), b""), bytes)


@given(st.integers(0, 1 << 64))
@settings(max_examples=400, deadline=None)
def test_broken_picture_is_refused_or_decoded(number: int) -> None:
    assert fuzz_one_input(b"\0" + broken_picture(number)) in REFUSALS | set(ACCEPTED)


@given(st.sampled_from(list(seeds(0))), st.randoms(use_true_random=False))
@settings(max_examples=400, deadline=None)
def test_random_changes_of_fuzzing_seeds_are_refused_or_read(seed: bytes, rng: Random) -> None:
    mutated = rng.choice(BYTE_MUTATIONS)(rng, seed)
    assert fuzz_one_input(mutated) in {*REFUSALS, *ACCEPTED, "bad_request", "bad_zipcode", "read"}


def test_unexpected_error_of_the_decoder_reaches_the_fuzzer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken_decoder(data: bytes, **_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("tools.fuzzing.coverage_guided.entry_points.open_photo", broken_decoder)
    with pytest.raises(ZeroDivisionError):
        fuzz_one_input(b"\0" + valid_pictures()[0])
