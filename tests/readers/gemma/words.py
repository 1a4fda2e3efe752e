"""A tokenizer that needs no library: one token a character, or a token for each of some longer words."""

from __future__ import annotations

import re
from collections.abc import Sequence


class Words:
    """Splits text into the given words and single characters; ids are code points, and 2,000,000 upwards for words."""

    unk_token_id = 3
    eos_token_id = 1

    def __init__(self, *words: str) -> None:
        self._words = words

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        """The ids of a text."""
        assert not add_special_tokens
        parts = re.findall("|".join([*map(re.escape, self._words), "(?s:.)"]), text)
        return {"input_ids": [self.convert_tokens_to_ids(part) for part in parts]}

    def convert_tokens_to_ids(self, token: str) -> int:
        """The id of one token."""
        if token == "<end_of_turn>":
            return 2
        return 2_000_000 + self._words.index(token) if token in self._words else ord(token)

    def text(self, ids: Sequence[int]) -> str:
        """Tokens written out."""
        return "".join(self._words[i - 2_000_000] if i >= 2_000_000 else chr(i) for i in ids)
