"""Feeds tokens to the model piece by piece on its cache: rows can be copied, dropped and of different lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from keylike.readers.gemma.slots import Tokens


class Stream:
    """Rows of text that the model has seen so far. Not to be used from two threads."""

    def __init__(self, model: Any, inputs: Any, begun: Tokens) -> None:
        """Runs the prompt (the processor's tensors, n rows) and the first tokens of the reply, the same for all rows."""
        rows = inputs["input_ids"].shape[0]
        more = torch.tensor([begun] * rows, dtype=torch.long, device=inputs["input_ids"].device)
        self._model = model
        self._mask = torch.cat([inputs["attention_mask"], torch.ones_like(more)], 1)
        rest = {
            name: value
            for name, value in inputs.items()
            if name not in ("input_ids", "attention_mask")
        }
        if "token_type_ids" in rest:
            rest["token_type_ids"] = torch.cat([rest["token_type_ids"], torch.zeros_like(more)], 1)
        ids = torch.cat([inputs["input_ids"], more], 1)
        answer = model(
            input_ids=ids, attention_mask=self._mask, use_cache=True, logits_to_keep=1, **rest
        )
        self._cache = answer.past_key_values
        self.first: torch.Tensor = answer.logits[:, -1].float()
        """Logits (n, vocabulary) of what comes next."""

    def feed(self, rows: Sequence[int], pieces: Sequence[Tokens]) -> list[torch.Tensor]:
        """Keeps the rows named (an index may come twice) and adds a piece to each. Logits (length of its piece, vocabulary) a row."""
        longest = max(len(piece) for piece in pieces)
        device = self._mask.device
        ids = torch.tensor(
            [(*piece, *[0] * (longest - len(piece))) for piece in pieces], device=device
        )
        seen = torch.tensor(
            [[1] * len(piece) + [0] * (longest - len(piece)) for piece in pieces], device=device
        )
        kept = torch.tensor(list(rows), device=device)
        self._cache.reorder_cache(kept)
        self._mask = torch.cat([self._mask[kept], seen.to(self._mask.dtype)], 1)
        places = (self._mask.cumsum(1) - 1).clamp(min=0)[:, -longest:]
        answer = self._model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=places,
            past_key_values=self._cache,
            use_cache=True,
        )
        return [
            logits[: len(piece)].float()
            for logits, piece in zip(answer.logits, pieces, strict=True)
        ]
