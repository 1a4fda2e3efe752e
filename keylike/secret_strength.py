"""An estimate of how hard a secret is to guess, for secrets that people choose."""

from __future__ import annotations

import itertools
import math
import re

# At a thousand guesses per second, this many take a thousand years.
LEAST_BITS = 45.0
# Words that guesses begin with, in the spelling without digits for letters.
_WORDS = re.compile(
    "password|passwort|passphrase|administrator|admin|keylike|changeme|change|letmein|welcome"
    "|monkey|dragon|master|secret|default|example|sample|token|apikey|login|test|user|root|guest"
    "|key|locksmith|iloveyou|sunshine|princess|football|qwerty|qwertz|azerty|hello|world|please"
)
_WORD_BITS = 8.0
# Digits that people write for letters.
_LEET = str.maketrans("013457@$!", "oieasta" + "si")
_ROWS = ("1234567890", "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm")
_NEIGHBOURS = frozenset(
    pair for row in _ROWS for a, b in itertools.pairwise(row) for pair in (a + b, b + a)
)
# A character that the one before it suggests: the same, the next of the alphabet, or its neighbour.
_SUGGESTED_BITS = 1.0
_REPEATED_LENGTH = 3
_CLASSES = ((r"[0-9]", 10), (r"[a-z]", 26), (r"[A-Z]", 26), (r"[^0-9A-Za-z]", 33))


def estimate_bits(secret: str) -> float:
    """Return the estimated entropy of a secret in bits.

    Each character counts as a random one of the classes in use. A common word, a repetition of
    earlier characters, and a sequence such as "abc", "987" or "qwerty" count little. Without a
    large dictionary the estimate is too high for sentences and names.
    """
    per_character = math.log2(sum(size for pattern, size in _CLASSES if re.search(pattern, secret)))
    plain = secret.lower()
    spelled = plain.translate(_LEET)
    bits, at = 0.0, 0
    while at < len(plain):
        word = _WORDS.match(spelled, at) or _WORDS.match(plain, at)
        repeated = _repeated_length(plain, at)
        if repeated >= max(_REPEATED_LENGTH, len(word[0]) if word else 0):
            # Where it began and how long it is.
            bits += 2 * math.log2(len(plain))
            at += repeated
        elif word:
            bits += _WORD_BITS
            at = word.end()
        else:
            bits += (
                _SUGGESTED_BITS if at and _is_suggested(plain[at - 1 : at + 1]) else per_character
            )
            at += 1
    return bits


def _repeated_length(text: str, at: int) -> int:
    """Return how many characters from `at` on repeat earlier ones, possibly overlapping."""
    length = 0
    while at + length < len(text) and text.find(text[at : at + length + 1], 0, at + length) >= 0:
        length += 1
    return length


def _is_suggested(pair: str) -> bool:
    return abs(ord(pair[1]) - ord(pair[0])) <= 1 or pair in _NEIGHBOURS
