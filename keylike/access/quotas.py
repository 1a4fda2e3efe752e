"""How many photos each tier may send in a time, and the moving windows they are counted in."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from limits.storage import MovingWindowSupport, Storage

from keylike.access.tokens import Tier, Token

# Windows remembered at a time, three of each caller: some 40 MB where all use up what an address may. Beyond, the one that was idle longest
# is forgotten, and with it what was used up in it.
MOST_WINDOWS = 30_000


@dataclass(frozen=True, slots=True)
class Quotas:
    """Limits as in "10 per minute; 50 per hour": those of an address without a token, and of the tiers; admin has none."""

    address: str
    free: str
    premium: str

    def of(self, token: Token | None) -> str:
        """The limits of who asks; "" is none."""
        if token is None:
            return self.address
        return {Tier.FREE: self.free, Tier.PREMIUM: self.premium, Tier.ADMIN: ""}[token.tier]


class Windows(Storage, MovingWindowSupport):
    """Hits of each name in this process's memory, as flask-limiter asks for them.

    The library's own store in memory never forgets a name, goes through all of them after each hit, and by the wall clock: this one is
    bounded by `most` names, and a wall clock that jumps neither opens nor shuts it. `clock` counts seconds; `wall` gives those since 1970,
    for what callers are told. Found by its scheme: storage_uri="keylike-memory://".
    """

    STORAGE_SCHEME = ["keylike-memory"]  # noqa: RUF012

    def __init__(
        self,
        uri: str,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
        most: int = MOST_WINDOWS,
    ) -> None:
        super().__init__(uri)
        self._clock, self._wall, self._most = clock, wall, most
        self._lock = threading.Lock()
        self._hits: OrderedDict[str, list[float]] = OrderedDict()

    @property
    def base_exceptions(self) -> type[Exception]:
        """What this store raises: nothing."""
        return ValueError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Counts `amount` hits of `key` unless more than `limit` would be in the last `expiry` seconds."""
        with self._lock:
            now = self._clock()
            hits = self._within(key, expiry, now)
            if len(hits) + amount > limit:
                return False
            hits.extend([now] * amount)
            self._hits[key] = hits
            self._hits.move_to_end(key)
            while len(self._hits) > self._most:
                self._hits.popitem(last=False)
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the oldest hit that counts was, in seconds since 1970, and how many count."""
        with self._lock:
            now = self._clock()
            hits = self._within(key, expiry, now)
            return self._wall() - (now - hits[0] if hits else 0.0), len(hits)

    def _within(self, key: str, expiry: int, now: float) -> list[float]:
        hits = self._hits.get(key, [])
        # The name says how long its window is, so what is too old for this look is too old for every later one.
        del hits[: bisect_right(hits, now - expiry)]
        return hits

    def check(self) -> bool:
        """Whether the store is there."""
        return True

    def reset(self) -> int:
        """Forgets all hits; how many names there were."""
        with self._lock:
            names = len(self._hits)
            self._hits.clear()
            return names

    def clear(self, key: str) -> None:
        """Forgets the hits of a name."""
        with self._lock:
            self._hits.pop(key, None)

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Fixed windows are not kept."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """Fixed windows are not kept."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """Fixed windows are not kept."""
        raise NotImplementedError
