"""Build the cache of readings: in memory, or in Redis with memory as a fallback."""

from __future__ import annotations

import time
from collections.abc import Callable

from structlog.stdlib import BoundLogger

from keylike.cache.fallback import Fallback
from keylike.cache.reading_cache import ReadingCache
from keylike.cache.stores import MemoryStore


def build_cache(
    redis_url: str | None,
    *,
    ttl_s: int,
    size: int,
    clock: Callable[[], float],
    log: BoundLogger,
    secret: bytes | None = None,
) -> ReadingCache:
    """Return a cache of at most `size` readings, each kept for `ttl_s` seconds.

    In Redis, `secret` authenticates the values. Redis is contacted immediately, so that the log
    shows at startup whether it is reachable.
    """
    memory = MemoryStore(ttl_s=ttl_s, size=size, clock=clock)
    if redis_url is None or not ttl_s:
        return ReadingCache(memory, ttl_s=ttl_s, size=size, clock=clock)
    # Imported only if Redis is used, because the import takes a tenth of a second and memory.
    from keylike.cache.redis_store import RedisStore

    redis = RedisStore(redis_url, ttl_s=ttl_s, size=size, clock=time.time)
    store = Fallback(redis, memory, clock=clock, log=log)
    cache = ReadingCache(store, ttl_s=ttl_s, size=size, clock=clock, secret=secret)
    cache.stats()
    return cache
