"""Batches that fit into memory: at most so many at a time, and half as many when memory runs short."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch

from keylike.errors import Overloaded

RETRY_AFTER_S = 10
Q = TypeVar("Q")
A = TypeVar("A")
# How PyTorch's allocator for the processor words it; it has no class of its own.
_NO_ROOM = "can't allocate memory"


class AdaptiveBatcher(Generic[Q, A]):
    """`run` answers a batch in order; one thread at a time is let in. `free_memory` gives back what a failed batch left behind."""

    def __init__(
        self, run: Callable[[Sequence[Q]], list[A]], most: int, free_memory: Callable[[], None]
    ) -> None:
        self._run, self._most, self._free_memory = run, most, free_memory
        self._lock = threading.Lock()

    def ask(self, items: Sequence[Q]) -> list[A]:
        """One answer an item, in order. Raises Overloaded where an item does not fit into memory even alone."""
        with self._lock:
            return [
                answer
                for at in range(0, len(items), self._most)
                for answer in self._answer(items[at : at + self._most])
            ]

    def _answer(self, batch: Sequence[Q]) -> list[A]:
        answers = self._try(batch)
        if answers is not None:
            return answers
        self._free_memory()
        if len(batch) == 1:
            raise Overloaded(
                "There is not enough memory for this photo now.", retry_after_s=RETRY_AFTER_S
            )
        half = len(batch) // 2
        return self._answer(batch[:half]) + self._answer(batch[half:])

    def _try(self, batch: Sequence[Q]) -> list[A] | None:
        """The answers, or None where there was no room. What was raised ends here: while an exception lives, its traceback keeps the
        failed batch's tensors from being freed."""
        try:
            return self._run(batch)
        except BaseException as error:
            if not no_room(error):
                raise
            return None


def no_room(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and _NO_ROOM in str(error)
    )
