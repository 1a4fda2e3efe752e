"""Owns the loaded model: squares in, what it says about each out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from keylike.readers.gemma.backends import Loaded
from keylike.readers.gemma.free import read_free
from keylike.readers.gemma.manifest import GemmaManifest
from keylike.readers.gemma.model_output import Scores
from keylike.readers.gemma.oom_batcher import AdaptiveBatcher
from keylike.readers.gemma.prompt import prompt_inputs
from keylike.readers.gemma.search import read_slots
from keylike.readers.gemma.slots import lay_out


class Engine:
    """Hears what the model says about squares. Raises ModelError where the checkpoint's tokenizer does not suit its manifest."""

    def __init__(self, loaded: Loaded, manifest: GemmaManifest, max_batch: int) -> None:
        self._loaded, self._manifest = loaded, manifest
        self._layout = (
            lay_out(manifest, loaded.processor.tokenizer)
            if manifest.reply.decoding == "slots"
            else None
        )
        self._desk = AdaptiveBatcher(self._run, max_batch, self._free_memory)

    @property
    def processor(self) -> Any:
        """Return the checkpoint's processor: its tokenizer and its picture processor."""
        return self._loaded.processor

    @property
    def side(self) -> int:
        """Pixels of the square that the model is given."""
        return self._manifest.picture.side or int(
            self._loaded.processor.image_processor.size["height"]
        )

    def hear(self, squares: Sequence[Image.Image]) -> list[Scores]:
        """One result a square, in order; one thread at a time. Raises Overloaded where not even one square fits into memory."""
        return self._desk.ask(squares)

    def _run(self, squares: Sequence[Image.Image]) -> list[Scores]:
        loaded, tokenizer = self._loaded, self._loaded.processor.tokenizer
        inputs = prompt_inputs(loaded.processor, self._manifest.prompt, squares).to(loaded.device)
        inputs["pixel_values"] = inputs["pixel_values"].to(loaded.model.dtype)
        if self._layout is None:
            return read_free(loaded.model, inputs, tokenizer, self._manifest)
        return read_slots(loaded.model, inputs, self._layout, self._manifest.reply.beams)

    def _free_memory(self) -> None:
        if self._loaded.device.startswith("cuda"):
            torch.cuda.empty_cache()
