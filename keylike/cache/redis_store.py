"""The store of readings in Redis, which many replicas share; every value there ends with its time to live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from keylike.cache.stores import StoreUnavailable

# A reading takes tens of milliseconds: a Redis that is slower than this is worth no waiting for.
_TIMEOUT_S = 0.5
_PREFIX = "keylike:reading:"
# A sorted set of the keys by when they end, seconds since 1970: Redis itself can neither bound nor count a part of what it holds.
_INDEX = "keylike:readings"


class RedisStore:
    """At `url` (redis://, rediss:// or unix://); raises ValueError or TypeError for an address that cannot be one.

    `ttl_s` seconds that Redis keeps a value, `size` values at most, the oldest of which goes where there is no room; `clock` gives
    seconds since 1970. One Redis server, or a primary: not a cluster, whose keys lie apart.
    """

    backend = "redis"
    degraded = False

    def __init__(self, url: str, *, ttl_s: float, size: int, clock: Callable[[], float]) -> None:
        self._client = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            decode_responses=False,
        )
        self._ttl_s, self._size, self._clock = ttl_s, size, clock

    def get(self, key: str) -> bytes | None:
        """The value, or None. Raises StoreAway."""
        with _reached():
            value = self._client.get(_PREFIX + key)
            if value is not None and not isinstance(value, bytes):
                raise TypeError("Redis answers a question for text with something else")
        return value

    def put(self, key: str, value: bytes) -> None:
        """Keeps a value. Raises StoreAway."""
        now, ttl_ms = self._clock(), round(self._ttl_s * 1000)
        with _reached(), self._client.pipeline() as together:
            together.set(_PREFIX + key, value, px=ttl_ms)
            together.zadd(_INDEX, {key: now + self._ttl_s})
            together.pexpire(_INDEX, ttl_ms)
            together.zremrangebyscore(_INDEX, "-inf", now)
            # Those of a replica whose clock was wrong for a while would outlive, and crowd out, all that is real.
            together.zremrangebyscore(_INDEX, now + 2 * self._ttl_s, "+inf")
            together.zrange(_INDEX, 0, -self._size - 1)
            surplus = [each.decode() for each in together.execute()[-1]]
            if surplus:
                together.zrem(_INDEX, *surplus)
                together.delete(*(_PREFIX + each for each in surplus))
                together.execute()

    def count(self) -> int:
        """How many values are kept. Raises StoreAway."""
        with _reached():
            return int(self._client.zcount(_INDEX, f"({self._clock()}", "+inf"))


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    # Of an answer that is no Redis's own, the library raises ValueError and others besides its own errors.
    except Exception as error:
        raise StoreUnavailable(type(error).__name__) from None
