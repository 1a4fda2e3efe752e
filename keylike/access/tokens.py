"""Tokens: what is known of one, what its tier opens, how it looks in clear and as what it is stored."""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

# The setting that holds one token in clear; whoever sends that one goes by this name, so no stored token may.
ONE_TOKEN = "KEYLIKE_API_KEY"
# The same for the one that is made for a tunnel and ends with the process.
ONE_TIME = "KEYLIKE_TUNNEL"
# So that people and scanners of repositories know a token of Keylike when they see one.
PREFIX = "kl_"
_RANDOM_BYTES = 32
# token_urlsafe writes six bits in a character.
LENGTH = len(PREFIX) + -(-_RANDOM_BYTES * 8 // 6)
LONGEST_NAME = 64


class TokenError(ValueError):
    """A token that cannot be made as asked for; the message is one line for whoever asked."""


class TokensUnreadable(Exception):
    """Whether a token is good cannot be told now: the file is corrupt, locked, or closed to this process. Nobody passes on account of
    that. The message names no path."""


class Tier(StrEnum):
    """What a token opens, lowest first: each tier opens what those before it do."""

    FREE = "free"
    PREMIUM = "premium"
    ADMIN = "admin"

    def reaches(self, other: Tier) -> bool:
        """Whether this tier opens what needs `other`. Not `>=`, by which strings go in the order of the alphabet."""
        ladder = list(Tier)
        return ladder.index(self) >= ladder.index(other)


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token, which is all but the token itself; times in seconds since 1970."""

    name: str
    tier: Tier
    created: float
    expires: float | None = None
    last_used: float | None = None

    def expired(self, now: float) -> bool:
        """Whether it is no longer good at `now`, its last second being the one before `expires`."""
        return self.expires is not None and now >= self.expires


def new_clear() -> str:
    """A token in clear that nobody had before: 256 bits of the system's randomness."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def digest(clear: str) -> bytes:
    """The 32 bytes by which a token is known.

    SHA-256 once, without salt: a slow hash makes guesses of what people choose dear, and a token is 256 random bits, which nobody guesses
    at any speed. Whatever string comes in has a digest of its own, lone surrogates included.
    """
    return hashlib.sha256(clear.encode("utf-8", "surrogatepass")).digest()


def checked_name(name: str) -> str:
    """A name as it is stored; the same letters typed in two ways are one name. Raises TokenError for what nobody could tell in a list."""
    name = unicodedata.normalize("NFC", name)
    if not 1 <= len(name) <= LONGEST_NAME:
        raise TokenError(f"a token's name has 1 to {LONGEST_NAME} characters")
    if not name.isprintable() or name != name.strip():
        raise TokenError(
            "a token's name has printable characters alone, and no space at either end"
        )
    if name in (ONE_TOKEN, ONE_TIME):
        raise TokenError(f"{name} is the name of the token that belongs to that setting")
    return name
