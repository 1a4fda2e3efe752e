"""Concurrent requests with the same key share one computation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class SingleFlight(Generic[_Value]):
    """The computations in progress, by key.

    A value is shared. An exception is not shared, because it may be caused by the one request that
    computed (its deadline, or a full queue). The waiting requests then try again: one of them
    computes and the others wait for it.
    """

    def __init__(self) -> None:
        self._in_progress: dict[str, Future[_Value]] = {}
        self._lock = threading.Lock()

    def do(
        self, key: str, compute: Callable[[], _Value], time_left: Callable[[], float | None]
    ) -> tuple[_Value, bool]:
        """Return the value, and True if another request computed it.

        Args:
            key: Identifies the computation.
            compute: Returns the value.
            time_left: Called before each wait. It returns the seconds that this request can still
                wait, or None without limit. If it raises an exception, only this request fails.
        """
        while True:
            with self._lock:
                future = self._in_progress.get(key)
                if future is None:
                    future = self._in_progress[key] = Future()
                    break
            patience = time_left()
            try:
                return future.result(patience), True
            except (TimeoutError, CancelledError):
                continue
        try:
            value = compute()
            future.set_result(value)
            return value, False
        finally:
            with self._lock:
                del self._in_progress[key]
            # After an exception, this wakes the waiting requests. If there is a result, it has no
            # effect.
            future.cancel()
