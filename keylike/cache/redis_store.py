"""A store in Redis, shared by replicas. Every value expires there by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from keylike.cache.stores import StoreUnavailable

# A reading takes tens of milliseconds: waiting longer for Redis saves nothing.
_TIMEOUT_S = 0.5
_PREFIX = "keylike:reading:"
# A sorted set of the keys by expiry, seconds since 1970: Redis can neither bound nor count a part of
# its keys by itself.
_INDEX = "keylike:readings"


class RedisStore:
    """A store on one Redis server or a primary; not on a cluster, which spreads the keys.

    Parameters:
        url: redis://, rediss:// or unix://. Raises ValueError or TypeError for anything else.
        ttl_s: Seconds that a value is kept.
        size: Largest number of values; the oldest is evicted.
        clock: Returns seconds since 1970.
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
        self._ttl_s = ttl_s
        self._size = size
        self._clock = clock

    def get(self, key: str) -> bytes | None:
        """Return the value, or None. Raise StoreUnavailable."""
        with _translated_errors():
            value = self._client.get(_PREFIX + key)
            if value is not None and not isinstance(value, bytes):
                raise TypeError("Redis returned something other than bytes")
        return value

    def put(self, key: str, value: bytes) -> None:
        """Store a value. Raise StoreUnavailable."""
        now = self._clock()
        ttl_ms = round(self._ttl_s * 1000)
        with _translated_errors(), self._client.pipeline() as pipeline:
            pipeline.set(_PREFIX + key, value, px=ttl_ms)
            pipeline.zadd(_INDEX, {key: now + self._ttl_s})
            pipeline.pexpire(_INDEX, ttl_ms)
            pipeline.zremrangebyscore(_INDEX, "-inf", now)
            # A replica whose clock was wrong wrote entries that would outlive all others.
            pipeline.zremrangebyscore(_INDEX, now + 2 * self._ttl_s, "+inf")
            pipeline.zrange(_INDEX, 0, -self._size - 1)
            surplus = [each.decode() for each in pipeline.execute()[-1]]
            if surplus:
                pipeline.zrem(_INDEX, *surplus)
                pipeline.delete(*(_PREFIX + each for each in surplus))
                pipeline.execute()

    def count(self) -> int:
        """Return the number of values. Raise StoreUnavailable."""
        with _translated_errors():
            return int(self._client.zcount(_INDEX, f"({self._clock()}", "+inf"))


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    # A peer that is no Redis makes the library raise ValueError and others beyond its own errors.
    except Exception as error:
        raise StoreUnavailable(type(error).__name__) from None
