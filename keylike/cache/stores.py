"""The interface of a store of readings, and a store in the memory of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from cachetools import TTLCache


class StoreUnavailable(Exception):
    """An error of a store that does not answer.

    Its text is only the type of the original error, whose message may contain an address.
    """


class Store(Protocol):
    """A thread-safe store of a limited number of values, each with a time to live.

    Every method may raise StoreUnavailable.
    """

    @property
    def backend(self) -> str:
        """Name of the storage: "memory" or "redis"."""

    @property
    def degraded(self) -> bool:
        """True while another store is used because the configured one is unavailable."""

    def get(self, key: str) -> bytes | None:
        """Return the value, or None if there is none or it has expired."""

    def put(self, key: str, value: bytes) -> None:
        """Store a value; evict another one if the store is full."""

    def count(self) -> int:
        """Return the number of values."""


class MemoryStore:
    """A store in the memory of this process. A full store evicts the least recently used value.

    Args:
        ttl_s: Seconds that a value is kept.
        size: Largest number of values.
        clock: Returns monotonic seconds.
    """

    backend = "memory"
    degraded = False

    def __init__(self, *, ttl_s: float, size: int, clock: Callable[[], float]) -> None:
        self._values: TTLCache[str, bytes, float] = TTLCache(size, ttl_s, clock)
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Return the value, or None."""
        with self._lock:
            # Remove expired readings now: they are secrets and should not stay in memory until the
            # store is full.
            self._values.expire()
            return self._values.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Store a value."""
        with self._lock:
            self._values[key] = value

    def count(self) -> int:
        """Return the number of values."""
        with self._lock:
            return len(self._values)
