"""A parallel map for the photos of one request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def parallel_map(function: Callable[[T], R], items: Sequence[T], threads: int) -> list[R]:
    """Apply `function`, which must not raise, to every item; return the results in order.

    The calling thread works too, with up to `threads` - 1 helpers. It returns only when every helper
    has finished, also when the system refuses to start some of them. Helpers are daemon threads: the
    threads of an executor would keep a server from stopping at once.
    """
    results: dict[int, R] = {}
    left: SimpleQueue[int] = SimpleQueue()
    for index in range(len(items)):
        left.put(index)

    def work() -> None:
        while True:
            try:
                index = left.get_nowait()
            except Empty:
                return
            results[index] = function(items[index])

    helpers: list[threading.Thread] = []
    try:
        for _ in range(min(threads, len(items)) - 1):
            helper = threading.Thread(target=work, name="batch", daemon=True)
            helper.start()
            helpers.append(helper)
    except RuntimeError:
        # No memory for another thread, or the limit is reached: those that run do the work.
        pass
    work()
    for helper in helpers:
        helper.join()
    return [results[index] for index in range(len(items))]
