"""Tests of tokens: the order of the tiers, the format, expiry, and valid names."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keylike.access.tokens import (
    LENGTH,
    Tier,
    Token,
    TokenError,
    digest,
    generate_secret,
    normalize_name,
)


def test_tier_includes_the_tiers_below_it() -> None:
    opened = [
        [tier.includes(other) for other in (Tier.FREE, Tier.PREMIUM, Tier.ADMIN)]
        for tier in (Tier.FREE, Tier.PREMIUM, Tier.ADMIN)
    ]
    assert opened == [[True, False, False], [True, True, False], [True, True, True]]


def test_generate_secret_returns_a_prefix_and_43_random_characters() -> None:
    secrets = {generate_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(
        len(clear) == LENGTH == 46 and re.fullmatch(r"kl_[A-Za-z0-9_-]{43}", clear)
        for clear in secrets
    )


def test_token_is_valid_until_its_expiry() -> None:
    token = Token("phone", Tier.FREE, created=0.0, expires=100.0)
    assert [token.expired(now) for now in (0.0, 99.999, 100.0, 1e12)] == [False, False, True, True]
    assert not Token("phone", Tier.FREE, created=0.0).expired(1e12)


@example("\ud800", "\ud801")
@example("\ud800", "?")
@given(st.text(st.characters(), max_size=8), st.text(st.characters(), max_size=8))
def test_digest_differs_for_different_strings(one: str, other: str) -> None:
    assert len(digest(one)) == 32
    assert (digest(one) == digest(other)) == (one == other)


@pytest.mark.parametrize(
    "name", ["a", "phone of Zoë", "x" * 64, "'; DROP TABLE tokens; --", "鍵", "[red]"]
)
def test_normalize_name_keeps_readable_names(name: str) -> None:
    assert normalize_name(name) == name


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
def test_normalize_name_rejects_empty_long_invisible_and_reserved_names(name: str) -> None:
    with pytest.raises(TokenError):
        normalize_name(name)


def test_normalize_name_returns_the_same_for_equivalent_characters() -> None:
    assert normalize_name("Zoe\u0308") == normalize_name("Zo\u00eb")
