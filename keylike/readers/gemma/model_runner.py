"""Run the loaded model: it takes square pictures and returns scores."""

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
from keylike.readers.gemma.slots import build_layout


class ModelRunner:
    """A loaded model that returns scores for square pictures.

    Raises:
        ModelError: The tokenizer of the checkpoint does not match its manifest.
    """

    def __init__(self, loaded: Loaded, manifest: GemmaManifest, max_batch: int) -> None:
        self._loaded = loaded
        self._manifest = manifest
        self._layout = (
            build_layout(manifest, loaded.processor.tokenizer)
            if manifest.reply.decoding == "slots"
            else None
        )
        self._batcher = AdaptiveBatcher(self._run, max_batch, self._free_memory)

    @property
    def processor(self) -> Any:
        """Return the processor of the checkpoint, which contains tokenizer and image processor."""
        return self._loaded.processor

    @property
    def side(self) -> int:
        """Return the side of the model's input in pixels."""
        return self._manifest.picture.side or int(
            self._loaded.processor.image_processor.size["height"]
        )

    def score(self, squares: Sequence[Image.Image]) -> list[Scores]:
        """Return one result per square, in order. Only one thread runs the model at a time.

        Raises:
            Overloaded: Not even one square fits into memory.
        """
        return self._batcher.run(squares)

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
