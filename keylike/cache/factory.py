"""Chooses where readings are kept: in memory, or in Redis with memory beside it."""

from __future__ import annotations

import time
from collections.abc import Callable

from structlog.stdlib import BoundLogger

from keylike.cache.fallback import Fallback
from keylike.cache.reading_cache import ReadingCache
from keylike.cache.stores import MemoryStore


def new_cache(
    redis_url: str | None, *, ttl_s: int, size: int, clock: Callable[[], float], log: BoundLogger
) -> ReadingCache:
    """Keeps `size` readings for `ttl_s` seconds each, by `clock`. Redis is asked at once, so that the log says if it is away."""
    memory = MemoryStore(ttl_s=ttl_s, size=size, clock=clock)
    if redis_url is None or not ttl_s:
        return ReadingCache(memory, ttl_s=ttl_s, size=size)
    from keylike.cache.redis_store import (
        RedisStore,
    )  # a tenth of a second and its memory, for those who have a Redis

    redis = RedisStore(redis_url, ttl_s=ttl_s, size=size, clock=time.time)
    cache = ReadingCache(Fallback(redis, memory, clock=clock, log=log), ttl_s=ttl_s, size=size)
    cache.stats()
    return cache
