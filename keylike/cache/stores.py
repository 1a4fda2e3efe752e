"""What a store of readings is, and the one in this process's memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from cachetools import TTLCache


class StoreUnavailable(Exception):
    """A store that does not answer. Its line is the kind of error alone: what a library says itself may hold an address."""


class Store(Protocol):
    """Keeps at most so many values, each for so long. Used from many threads; raises StoreAway where it cannot be reached."""

    @property
    def backend(self) -> str:
        """Where values are kept: memory or redis."""

    @property
    def degraded(self) -> bool:
        """Whether another store stands in for the one that was asked for."""

    def get(self, key: str) -> bytes | None:
        """The value, or None if there is none or its time is over."""

    def put(self, key: str, value: bytes) -> None:
        """Keeps a value from now on; where there is no room, another one goes."""

    def count(self) -> int:
        """How many values are kept."""


class MemoryStore:
    """In this process alone, never on disk; where there is no room, the value that was asked for least recently goes.

    `ttl_s` seconds that a value is kept, by `clock`; `size` values are kept at most.
    """

    backend = "memory"
    degraded = False

    def __init__(self, *, ttl_s: float, size: int, clock: Callable[[], float]) -> None:
        self._held: TTLCache[str, bytes, float] = TTLCache(size, ttl_s, clock)
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """The value, or None."""
        with self._lock:
            self._held.expire()  # what is over is a secret that need not lie here until there is no room
            return self._held.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Keeps a value."""
        with self._lock:
            self._held[key] = value

    def count(self) -> int:
        """How many values are kept."""
        with self._lock:
            return len(self._held)
