"""Process batches, and halve a batch if memory runs out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch

from keylike.errors import Overloaded

# Seconds after which a client may retry if memory ran out.
RETRY_AFTER_S = 10
Item = TypeVar("Item")
Result = TypeVar("Result")
# Part of the message of PyTorch's CPU allocator, which raises a general RuntimeError.
_CPU_OUT_OF_MEMORY = "can't allocate memory"


class AdaptiveBatcher(Generic[Item, Result]):
    """A runner of batches of limited size. Only one thread runs at a time.

    Args:
        run: Function that processes a batch and returns one result per item, in order.
        max_batch: Largest number of items per batch.
        free_memory: Function that releases the memory of a failed batch.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], list[Result]],
        max_batch: int,
        free_memory: Callable[[], None],
    ) -> None:
        self._run = run
        self._max_batch = max_batch
        self._free_memory = free_memory
        self._lock = threading.Lock()

    def run(self, items: Sequence[Item]) -> list[Result]:
        """Return one result per item, in order.

        Raises:
            Overloaded: A single item does not fit into memory.
        """
        with self._lock:
            return [
                result
                for start in range(0, len(items), self._max_batch)
                for result in self._run_batch(items[start : start + self._max_batch])
            ]

    def _run_batch(self, batch: Sequence[Item]) -> list[Result]:
        results = self._try(batch)
        if results is not None:
            return results
        self._free_memory()
        if len(batch) == 1:
            raise Overloaded(
                "There is currently not enough memory for this photo.", retry_after_s=RETRY_AFTER_S
            )
        middle = len(batch) // 2
        return self._run_batch(batch[:middle]) + self._run_batch(batch[middle:])

    def _try(self, batch: Sequence[Item]) -> list[Result] | None:
        """Return the results, or None if memory ran out.

        It returns None instead of raising, because the traceback of an exception would keep the
        tensors of the failed batch in memory.
        """
        try:
            return self._run(batch)
        except BaseException as error:
            if not is_out_of_memory(error):
                raise
            return None


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if the error means that memory ran out."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and _CPU_OUT_OF_MEMORY in str(error)
    )
