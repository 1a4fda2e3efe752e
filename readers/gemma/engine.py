"""Owns the loaded model: one thread runs it, batch by batch, and memory that runs short makes the batches smaller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from PIL import Image

from readers.gemma.backends import Loaded
from readers.gemma.free import read_free
from readers.gemma.heard import Heard
from readers.gemma.manifest import GemmaManifest
from readers.gemma.prompt import prompt_inputs
from readers.gemma.search import read_slots
from readers.gemma.slots import lay_out
from utils.errors import Overloaded

RETRY_AFTER_S = 10
Q = TypeVar("Q")
A = TypeVar("A")


class Engine:
    """Hears what the model says about squares. Raises ModelError where the checkpoint's tokenizer does not suit its manifest."""

    def __init__(self, loaded: Loaded, manifest: GemmaManifest, max_batch: int) -> None:
        self._loaded, self._manifest, self._max_batch = loaded, manifest, max_batch
        self._layout = lay_out(manifest, loaded.processor.tokenizer) if manifest.reply.decoding == "slots" else None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="gemma")

    @property
    def side(self) -> int:
        """Pixels of the square that the model is given."""
        return self._manifest.picture.side or int(self._loaded.processor.image_processor.size["height"])

    def hear(self, squares: Sequence[Image.Image]) -> list[Heard]:
        """One result a square, in order; waits its turn. Raises Overloaded where not even one square fits into memory."""
        return self._worker.submit(in_batches, self._run, squares, self._max_batch, self._free_memory).result()

    def _run(self, squares: Sequence[Image.Image]) -> list[Heard]:
        loaded, tokenizer = self._loaded, self._loaded.processor.tokenizer
        inputs = prompt_inputs(loaded.processor, self._manifest.prompt, squares).to(loaded.device)
        inputs["pixel_values"] = inputs["pixel_values"].to(loaded.model.dtype)
        if self._layout is None:
            return read_free(loaded.model, inputs, tokenizer, self._manifest)
        return read_slots(loaded.model, inputs, self._layout, self._manifest.reply.beams)

    def _free_memory(self) -> None:
        if self._loaded.device.startswith("cuda"):
            torch.cuda.empty_cache()


def in_batches(run: Callable[[Sequence[Q]], list[A]], items: Sequence[Q], size: int, free_memory: Callable[[], None]) -> list[A]:
    """Runs `items` in batches of at most `size`, half as many each time memory does not suffice. Raises Overloaded at a single one."""
    done: list[A] = []
    while len(done) < len(items):
        batch = items[len(done) : len(done) + size]
        try:
            done += run(batch)
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                free_memory()
                raise Overloaded("There is not enough GPU memory for this photo now.", retry_after_s=RETRY_AFTER_S) from None
            size = len(batch) // 2
        else:
            continue
        # Outside the handler: while the exception lives, its traceback keeps the failed batch's tensors from being freed.
        free_memory()
    return done
