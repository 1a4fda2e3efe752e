"""Several pieces of work of one request beside each other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(work: Callable[[T], R], items: Sequence[T], threads: int) -> list[R]:
    """What `work` gives for each, in order, from so many threads, this one among them; it must not raise.

    The threads die with the process: a pool's would keep a server that is told to stop at once from ending.
    """
    results: dict[int, R] = {}
    left: SimpleQueue[int] = SimpleQueue()
    for at in range(len(items)):
        left.put(at)

    def help_out() -> None:
        while True:
            try:
                at = left.get_nowait()
            except Empty:
                return
            results[at] = work(items[at])

    helpers = [
        threading.Thread(target=help_out, name="batch", daemon=True)
        for _ in range(min(threads, len(items)) - 1)
    ]
    for helper in helpers:
        helper.start()
    help_out()
    for helper in helpers:
        helper.join()
    return [results[at] for at in range(len(items))]
