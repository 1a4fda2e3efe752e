"""Quotas of photos per tier, and moving windows in memory to count them."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from limits.storage import MovingWindowSupport, Storage

from keylike.access.tokens import Tier, Token

# Largest number of windows in memory. Each client has three: per minute, per hour and per day. If
# all are full, this number of windows takes about 40 MB for clients without a token. If there are
# more, the window that has not been used for the longest time is dropped together with its count.
MAX_WINDOWS = 30_000


@dataclass(frozen=True, slots=True)
class Quotas:
    """Limits such as "10 per minute; 50 per hour": one for clients without a token, one per tier.

    Clients without a token are counted by address. The tier admin has no limit.
    """

    address: str
    free: str
    premium: str

    def of(self, token: Token | None) -> str:
        """Return the limits for the owner of `token`, or "" if there is no limit."""
        if token is None:
            return self.address
        return {Tier.FREE: self.free, Tier.PREMIUM: self.premium, Tier.ADMIN: ""}[token.tier]


class Windows(Storage, MovingWindowSupport):
    """A storage for flask-limiter that keeps moving windows in this process's memory.

    A name identifies a client and one of its limits. The library's own storage never drops a name,
    scans all names after each hit, and uses the wall clock. This one is bounded, and jumps of the
    wall clock do not affect it. flask-limiter selects it by storage_uri="keylike-memory://".

    Args:
        uri: unused; required by the interface.
        clock: monotonic seconds.
        wall: seconds since 1970, for the times that clients see.
        max_names: largest number of names.
    """

    STORAGE_SCHEME = ["keylike-memory"]  # noqa: RUF012

    def __init__(
        self,
        uri: str,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
        max_names: int = MAX_WINDOWS,
    ) -> None:
        super().__init__(uri)
        self._clock = clock
        self._wall = wall
        self._max_names = max_names
        self._lock = threading.Lock()
        self._hits: OrderedDict[str, list[float]] = OrderedDict()

    @property
    def base_exceptions(self) -> type[Exception]:
        """Return an exception class that this storage never raises, because one is required."""
        return ValueError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Add `amount` hits if the last `expiry` seconds then contain at most `limit` hits.

        Returns:
            True if the hits were added.
        """
        with self._lock:
            now = self._clock()
            hits = self._within(key, expiry, now)
            if len(hits) + amount > limit:
                return False
            hits.extend([now] * amount)
            self._hits[key] = hits
            self._hits.move_to_end(key)
            while len(self._hits) > self._max_names:
                self._hits.popitem(last=False)
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return the time of the oldest hit in the window, in seconds since 1970, and the number of
        hits.
        """
        with self._lock:
            now = self._clock()
            hits = self._within(key, expiry, now)
            return self._wall() - (now - hits[0] if hits else 0.0), len(hits)

    def _within(self, key: str, expiry: int, now: float) -> list[float]:
        hits = self._hits.get(key, [])
        # Each name is always used with the same `expiry`, so a hit that is too old now is never
        # needed again.
        del hits[: bisect_right(hits, now - expiry)]
        return hits

    def check(self) -> bool:
        """Return True, since memory is always available."""
        return True

    def reset(self) -> int:
        """Drop all windows and return how many there were."""
        with self._lock:
            names = len(self._hits)
            self._hits.clear()
            return names

    def clear(self, key: str) -> None:
        """Drop the window of one name."""
        with self._lock:
            self._hits.pop(key, None)

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Raise NotImplementedError, since fixed windows are not supported."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """Raise NotImplementedError, since fixed windows are not supported."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """Raise NotImplementedError, since fixed windows are not supported."""
        raise NotImplementedError
