"""Tokens: their properties and tiers, their format, and the hash that is stored."""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

# The name of the token in the setting KEYLIKE_API_KEY. No stored token may use it.
SETTING_TOKEN_NAME = "KEYLIKE_API_KEY"
# The name of the token that is created for a tunnel and is valid until the process exits.
RUN_TOKEN_NAME = "KEYLIKE_TUNNEL"
# First characters of every token, by which people and secret scanners recognize it.
PREFIX = "kl_"
_RANDOM_BYTES = 32
# token_urlsafe encodes six bits per character.
LENGTH = len(PREFIX) + -(-_RANDOM_BYTES * 8 // 6)
MAX_NAME_LENGTH = 64


class TokenError(ValueError):
    """An error for an invalid request for a token. The message is one line for the user."""


class TokensUnreadable(Exception):
    """An error for a token store that is corrupt, locked or not accessible.

    No token can then be verified. The message does not contain a path.
    """


class Tier(StrEnum):
    """The levels of access, lowest first; each tier includes those before it."""

    FREE = "free"
    PREMIUM = "premium"
    ADMIN = "admin"

    def includes(self, other: Tier) -> bool:
        """Return True if this tier has the access of `other`.

        The operator >= would compare the names alphabetically.
        """
        ladder = list(Tier)
        return ladder.index(self) >= ladder.index(other)


@dataclass(frozen=True, slots=True)
class Token:
    """The properties of a token, without its secret text. Times are in seconds since 1970."""

    name: str
    tier: Tier
    created: float
    expires: float | None = None
    last_used: float | None = None

    def expired(self, now: float) -> bool:
        """Return True if the token is not valid at `now`; it is already invalid at `expires`."""
        return self.expires is not None and now >= self.expires


def generate_secret() -> str:
    """Return a new token in plain text, with 256 random bits."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def digest(secret: str) -> bytes:
    """Return the SHA-256 digest (32 bytes) that identifies a token.

    A token has 256 random bits, so it needs no slow or salted hash as a password does. Every string
    has a digest, even one with lone surrogates.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def normalize_name(name: str) -> str:
    """Return the name in Unicode form NFC.

    Raises:
        TokenError: The name is empty, too long or reserved, or contains characters that are hard
            to see.
    """
    name = unicodedata.normalize("NFC", name)
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        raise TokenError(f"a token's name has 1 to {MAX_NAME_LENGTH} characters")
    if not name.isprintable() or name != name.strip():
        raise TokenError(
            "a token's name contains only printable characters, and no space at either end"
        )
    if name in (SETTING_TOKEN_NAME, RUN_TOKEN_NAME):
        raise TokenError(f"the name {name} is reserved")
    return name
