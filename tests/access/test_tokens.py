"""Tokens by themselves: the ladder of tiers, what a token looks like, and names that can be told apart."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keylike.access.tokens import LENGTH, Tier, Token, TokenError, checked_name, digest, new_clear


def test_a_tier_opens_what_those_below_it_do() -> None:
    opened = [
        [tier.reaches(other) for other in (Tier.FREE, Tier.PREMIUM, Tier.ADMIN)]
        for tier in (Tier.FREE, Tier.PREMIUM, Tier.ADMIN)
    ]
    assert opened == [[True, False, False], [True, True, False], [True, True, True]]


def test_a_token_is_256_random_bits_behind_a_prefix() -> None:
    made = {new_clear() for _ in range(100)}
    assert len(made) == 100
    assert all(
        len(clear) == LENGTH == 46 and re.fullmatch(r"kl_[A-Za-z0-9_-]{43}", clear)
        for clear in made
    )


def test_a_token_is_good_up_to_its_end() -> None:
    token = Token("phone", Tier.FREE, created=0.0, expires=100.0)
    assert [token.expired(now) for now in (0.0, 99.999, 100.0, 1e12)] == [False, False, True, True]
    assert not Token("phone", Tier.FREE, created=0.0).expired(1e12)


@example("\ud800", "\ud801")
@example("\ud800", "?")
@given(st.text(st.characters(), max_size=8), st.text(st.characters(), max_size=8))
def test_every_string_has_a_digest_of_its_own(one: str, other: str) -> None:
    assert len(digest(one)) == 32
    assert (digest(one) == digest(other)) == (one == other)


@pytest.mark.parametrize(
    "name", ["a", "phone of Zoë", "x" * 64, "'; DROP TABLE tokens; --", "鍵", "[red]"]
)
def test_names_that_can_be_told_apart_are_taken(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        " a",
        "a ",
        "x" * 65,
        "a\nb",
        "a\0",
        "\x1b[31m",
        "a\u200bb",
        "\u202ename",
        "\ud800",
        "a\u00a0",
        "KEYLIKE_API_KEY",
        "KEYLIKE_TUNNEL",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(TokenError):
        checked_name(name)


def test_a_letter_typed_in_two_ways_is_one_name() -> None:
    assert checked_name("Zoe\u0308") == checked_name("Zo\u00eb")
