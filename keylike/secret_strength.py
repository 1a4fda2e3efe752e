"""Estimate how hard a secret is to guess, for secrets that people choose."""

from __future__ import annotations

import itertools
import math
import re

# Smallest accepted entropy of a secret in bits. With 1,000 guesses per second, trying all secrets
# of this strength takes about 1,000 years.
LEAST_BITS = 45.0
# Common words in secrets, which an attacker tries first. Digits in place of letters are converted
# before the comparison.
_WORDS = re.compile(
    "password|passwort|passphrase|administrator|admin|keylike|changeme|change|letmein|welcome"
    "|monkey|dragon|master|secret|default|example|sample|token|apikey|login|test|user|root|guest"
    "|key|locksmith|iloveyou|sunshine|princess|football|qwerty|qwertz|azerty|hello|world|please"
)
# Entropy of a common word in bits.
_WORD_BITS = 8.0
# Table that converts digits and signs to the letters for which people use them.
_LEET = str.maketrans("013457@$!", "oieasta" + "si")
_ROWS = ("1234567890", "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm")
_NEIGHBOURS = frozenset(
    pair for row in _ROWS for a, b in itertools.pairwise(row) for pair in (a + b, b + a)
)
# Entropy, in bits, of a character that follows from the one before it: the same character, its
# neighbour in the alphabet, or its neighbour on the keyboard.
_SUGGESTED_BITS = 1.0
# Smallest number of characters that count as a repetition of earlier ones.
_REPEATED_LENGTH = 3
# Classes of characters, each with the number of its characters.
_CLASSES = ((r"[0-9]", 10), (r"[a-z]", 26), (r"[A-Z]", 26), (r"[^0-9A-Za-z]", 33))


def estimate_bits(secret: str) -> float:
    """Return the estimated entropy of a secret in bits.

    Each character counts as a random character of the classes that the secret contains. Common
    words, repetitions of earlier characters, and sequences such as "abc", "987" or "qwerty" count
    less. For sentences and names the estimate is too high, because there is no large dictionary.
    """
    per_character = math.log2(sum(size for pattern, size in _CLASSES if re.search(pattern, secret)))
    plain = secret.lower()
    spelled = plain.translate(_LEET)
    bits, at = 0.0, 0
    while at < len(plain):
        word = _WORDS.match(spelled, at) or _WORDS.match(plain, at)
        repeated = _repeated_length(plain, at)
        if repeated >= max(_REPEATED_LENGTH, len(word[0]) if word else 0):
            # A guess needs two numbers: where the repetition begins, and how long it is.
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
    """Return how many characters, starting at `at`, are a repetition of earlier characters."""
    length = 0
    while at + length < len(text) and text.find(text[at : at + length + 1], 0, at + length) >= 0:
        length += 1
    return length


def _is_suggested(pair: str) -> bool:
    return abs(ord(pair[1]) - ord(pair[0])) <= 1 or pair in _NEIGHBOURS
