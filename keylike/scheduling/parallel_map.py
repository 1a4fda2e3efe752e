"""Apply a function to the photos of one request in parallel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def parallel_map(function: Callable[[T], R], items: Sequence[T], threads: int) -> list[R]:
    """Apply `function` to every item, and return the results in order.

    `function` must not raise exceptions. The calling thread works too, with at most `threads` - 1
    helper threads. It returns when all helpers have finished. If the system refuses to start
    helpers, the others do all the work. Helpers are daemon threads, because Python would wait for
    the threads of an executor when the server exits.
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
        # There is no memory for another thread, or the limit of threads is reached.
        pass
    work()
    for helper in helpers:
        helper.join()
    return [results[index] for index in range(len(items))]
