"""A store of readings in Redis, which replicas share. Redis deletes values when they expire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from keylike.cache.stores import StoreUnavailable

# Timeout of each call to Redis, in seconds. Computing a reading takes only tens of milliseconds, so
# waiting longer saves no time.
_TIMEOUT_S = 0.5
_PREFIX = "keylike:reading:"
# Redis key of a sorted set of all our keys, by their time of expiry in seconds since 1970. It is
# needed because Redis cannot count or limit only the keys with a certain prefix.
_INDEX = "keylike:readings"


class RedisStore:
    """A store on one Redis server, or on the primary server of several replicas.

    It does not work on a Redis cluster, which distributes the keys over several servers.

    Args:
        url: Address that begins with redis://, rediss:// or unix://.
        ttl_s: Seconds that a value is kept.
        size: Largest number of values. If there are more, the oldest ones are deleted.
        clock: Returns seconds since 1970.

    Raises:
        ValueError, TypeError: The address is not valid.
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
        """Return the value, or None if there is none.

        Raises:
            StoreUnavailable: Redis does not answer correctly.
        """
        with _translated_errors():
            value = self._client.get(_PREFIX + key)
            if value is not None and not isinstance(value, bytes):
                raise TypeError("Redis returned something other than bytes")
        return value

    def put(self, key: str, value: bytes) -> None:
        """Store a value.

        Raises:
            StoreUnavailable: Redis does not answer correctly.
        """
        now = self._clock()
        ttl_ms = round(self._ttl_s * 1000)
        with _translated_errors(), self._client.pipeline() as pipeline:
            pipeline.set(_PREFIX + key, value, px=ttl_ms)
            pipeline.zadd(_INDEX, {key: now + self._ttl_s})
            pipeline.pexpire(_INDEX, ttl_ms)
            pipeline.zremrangebyscore(_INDEX, "-inf", now)
            # Entries so far in the future come from a replica whose clock was wrong. They would
            # stay longer than all others.
            pipeline.zremrangebyscore(_INDEX, now + 2 * self._ttl_s, "+inf")
            pipeline.zrange(_INDEX, 0, -self._size - 1)
            surplus = [each.decode() for each in pipeline.execute()[-1]]
            if surplus:
                pipeline.zrem(_INDEX, *surplus)
                pipeline.delete(*(_PREFIX + each for each in surplus))
                pipeline.execute()

    def count(self) -> int:
        """Return the number of values.

        Raises:
            StoreUnavailable: Redis does not answer correctly.
        """
        with _translated_errors():
            return int(self._client.zcount(_INDEX, f"({self._clock()}", "+inf"))


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    # If the peer is not a Redis server, the library also raises exceptions that are not its own,
    # such as ValueError.
    except Exception as error:
        raise StoreUnavailable(type(error).__name__) from None
