"""Tests of the estimate, in bits, of how hard a secret is to guess."""

from __future__ import annotations

import random
import string

import pytest

from keylike.access.tokens import generate_secret
from keylike.secret_strength import LEAST_BITS, estimate_bits


@pytest.mark.parametrize(
    "secret",
    [
        "aaaaaaaaaaaaaaaa",
        "passwordpassword",
        "Passw0rd!Passw0rd!",
        "1234567890123456",
        "9876543210987654",
        "qwertyuiopasdfgh",
        "abcdefghijklmnop",
        "adminadminadmin1",
        "keylike-admin-token",
        "letmeinletmein123",
        "abababababababab",
        "changeme-changeme",
        "0000000000000001",
        "zaq12wsxzaq12wsx",
        "admin2026admin2026",
    ],
)
def test_estimate_bits_of_a_guessable_secret_is_low(secret: str) -> None:
    assert estimate_bits(secret) < LEAST_BITS


@pytest.mark.parametrize(
    "characters",
    ["0123456789abcdef", string.ascii_lowercase, string.ascii_letters + string.digits + "-_"],
    ids=["hex", "letters", "base64url"],
)
def test_estimate_bits_of_random_secrets_is_high(characters: str) -> None:
    random_source = random.Random(7)
    secrets = ["".join(random_source.choices(characters, k=16)) for _ in range(2000)]
    refused = [secret for secret in secrets if estimate_bits(secret) < LEAST_BITS]
    assert len(refused) <= 2, "at most one random secret in a thousand may be refused"


def test_estimate_bits_of_a_generated_token_is_high() -> None:
    assert estimate_bits(generate_secret()) > 200


def test_estimate_bits_of_a_sentence_is_high() -> None:
    assert estimate_bits("violet-otters-juggle-gravel") > LEAST_BITS
