"""Single flight: those who ask for the same at the same time get what one of them brings back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class SingleFlight(Generic[_Value]):
    """What is under way, by key.

    A value is shared; an exception belongs to who flew alone, since it may be about the caller (a deadline, a full queue) and not about
    what was asked for: the others then try for themselves, one of them flying and the rest waiting for that one.
    """

    def __init__(self) -> None:
        self._under_way: dict[str, Future[_Value]] = {}
        self._lock = threading.Lock()

    def do(
        self, key: str, fly: Callable[[], _Value], left_s: Callable[[], float | None]
    ) -> tuple[_Value, bool]:
        """The value, and whether another caller's flight brought it.

        `left_s` is asked before each wait for how many seconds this caller can still wait, None for ever; where there are none it raises
        the caller's own failure, which goes up from here and leaves the flight to the others.
        """
        while True:
            flight, first = self._board(key)
            if first:
                return self._fly(key, flight, fly), False
            patience = left_s()
            try:
                return flight.result(patience), True
            except (TimeoutError, CancelledError):
                continue

    def _board(self, key: str) -> tuple[Future[_Value], bool]:
        with self._lock:
            first = key not in self._under_way
            return self._under_way.setdefault(key, Future()), first

    def _fly(self, key: str, flight: Future[_Value], fly: Callable[[], _Value]) -> _Value:
        try:
            value = fly()
            flight.set_result(value)
            return value
        finally:
            with self._lock:
                del self._under_way[key]
            flight.cancel()  # wakes those who wait for nothing; nothing happens to a flight that has landed
