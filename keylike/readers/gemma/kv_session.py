"""Feed tokens to the model step by step, with a key-value cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from keylike.readers.gemma.slots import Tokens


class KVSession:
    """A batch of token sequences (rows) with one key-value cache. It is not thread-safe.

    Rows can be copied and dropped, and can have different lengths.

    Attributes:
        first_logits: Logits of the token after the prefix, shape (rows, vocabulary).
    """

    def __init__(self, model: Any, inputs: Any, prefix: Tokens) -> None:
        """Feed the prompt and the first tokens of the reply to the model.

        Args:
            model: Gemma model.
            inputs: Tensors from the processor, one row per photo.
            prefix: First tokens of the reply, the same for all rows.
        """
        rows = inputs["input_ids"].shape[0]
        prefix_ids = torch.tensor(
            [prefix] * rows, dtype=torch.long, device=inputs["input_ids"].device
        )
        self._model = model
        self._mask = torch.cat([inputs["attention_mask"], torch.ones_like(prefix_ids)], 1)
        rest = {
            name: value
            for name, value in inputs.items()
            if name not in ("input_ids", "attention_mask")
        }
        if "token_type_ids" in rest:
            rest["token_type_ids"] = torch.cat(
                [rest["token_type_ids"], torch.zeros_like(prefix_ids)], 1
            )
        ids = torch.cat([inputs["input_ids"], prefix_ids], 1)
        output = model(
            input_ids=ids, attention_mask=self._mask, use_cache=True, logits_to_keep=1, **rest
        )
        self._cache = output.past_key_values
        self.first_logits: torch.Tensor = output.logits[:, -1].float()

    def feed(self, rows: Sequence[int], pieces: Sequence[Tokens]) -> list[torch.Tensor]:
        """Keep the given rows, drop all others, and append tokens to each row.

        Args:
            rows: Indices of the rows to keep. An index may occur more than once.
            pieces: Tokens to append to each kept row.

        Returns:
            Logits for each row, shape (length of its piece, vocabulary).
        """
        longest = max(len(piece) for piece in pieces)
        device = self._mask.device
        ids = torch.tensor(
            [(*piece, *[0] * (longest - len(piece))) for piece in pieces], device=device
        )
        piece_mask = torch.tensor(
            [[1] * len(piece) + [0] * (longest - len(piece)) for piece in pieces], device=device
        )
        kept = torch.tensor(list(rows), device=device)
        self._cache.reorder_cache(kept)
        self._mask = torch.cat([self._mask[kept], piece_mask.to(self._mask.dtype)], 1)
        positions = (self._mask.cumsum(1) - 1).clamp(min=0)[:, -longest:]
        output = self._model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
        )
        return [
            logits[: len(piece)].float()
            for logits, piece in zip(output.logits, pieces, strict=True)
        ]
