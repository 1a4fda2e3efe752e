"""Simple tokenizer for tests: one token per character, and given tokens of several characters."""

from __future__ import annotations

import re
from collections.abc import Sequence


class CharTokenizer:
    """Tokenizer that splits text into the given `words` and into single characters.

    The id of a character is its code point. The ids of words start at 2,000,000.
    """

    unk_token_id = 3
    eos_token_id = 1

    def __init__(self, *words: str) -> None:
        self._words = words

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        """Return the token ids of a text."""
        assert not add_special_tokens
        parts = re.findall("|".join([*map(re.escape, self._words), "(?s:.)"]), text)
        return {"input_ids": [self.convert_tokens_to_ids(part) for part in parts]}

    def convert_tokens_to_ids(self, token: str) -> int:
        """Return the id of one token."""
        if token == "<end_of_turn>":
            return 2
        return 2_000_000 + self._words.index(token) if token in self._words else ord(token)

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of these token ids."""
        return "".join(self._words[i - 2_000_000] if i >= 2_000_000 else chr(i) for i in ids)
