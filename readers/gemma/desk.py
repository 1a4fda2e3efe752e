"""Where photos wait for the model: one thread takes what waits, as many at a time as fit, and half as many when memory runs short."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

import torch

from utils.errors import Overloaded

RETRY_AFTER_S = 10
Q = TypeVar("Q")
A = TypeVar("A")
# How PyTorch's allocator for the processor words it; it has no class of its own.
_NO_ROOM = "can't allocate memory"


class Desk(Generic[Q, A]):
    """`run` answers a batch in order; it is called by one thread alone, which dies with the process. `free_memory` gives back what a
    failed batch left behind."""

    def __init__(self, run: Callable[[Sequence[Q]], list[A]], most: int, free_memory: Callable[[], None]) -> None:
        self._run, self._most, self._free_memory = run, most, free_memory
        self._waiting: queue.SimpleQueue[tuple[Q, Future[A]]] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="gemma", daemon=True).start()

    def ask(self, items: Sequence[Q]) -> list[A]:
        """One answer an item, in order; waits its turn. Raises Overloaded where an item does not fit into memory even alone."""
        asked = [(item, Future[A]()) for item in items]
        for each in asked:
            self._waiting.put(each)
        return [future.result() for _, future in asked]

    def _serve(self) -> None:
        while True:
            self._answer(self._gather())

    def _gather(self) -> list[tuple[Q, Future[A]]]:
        """Waits for one, and takes whoever waits beside it."""
        batch = [self._waiting.get()]
        while len(batch) < self._most and not self._waiting.empty():
            batch.append(self._waiting.get())
        return batch

    def _answer(self, batch: Sequence[tuple[Q, Future[A]]]) -> None:
        try:
            for (_, future), answer in zip(batch, self._run([item for item, _ in batch]), strict=True):
                future.set_result(answer)
            return
        except BaseException as error:  # whatever it is, nobody may wait for ever
            if not no_room(error):
                for _, future in batch:
                    future.set_exception(error)
                return
        # Outside the handler: while the exception lives, its traceback keeps the failed batch's tensors from being freed.
        self._free_memory()
        if len(batch) == 1:
            batch[0][1].set_exception(Overloaded("There is not enough memory for this photo now.", retry_after_s=RETRY_AFTER_S))
            return
        half = len(batch) // 2
        self._answer(batch[:half])
        self._answer(batch[half:])


def no_room(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (isinstance(error, RuntimeError) and _NO_ROOM in str(error))
