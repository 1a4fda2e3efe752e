"""Tests of the cache while Redis fails and recovers, and of the data that Redis stores."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from structlog.stdlib import BoundLogger

from keylike.cache.factory import build_cache
from keylike.cache.fallback import Fallback
from keylike.cache.reading_cache import ReadingCache
from keylike.cache.redis_store import RedisStore
from keylike.cache.stores import MemoryStore, StoreUnavailable
from keylike.observability.logs import make_logger
from tests.cache.test_reading_cache import READING, SIZE, TTL_S, Clock, Runs
from tests.log_text import log_text
from tests.redis_server import PASSWORD, RedisServer


class PrimaryStore(MemoryStore):
    """A primary store that raises StoreUnavailable while the test sets `away`."""

    backend = "redis"

    def __init__(self) -> None:
        super().__init__(ttl_s=TTL_S, size=SIZE, clock=Clock())
        self.away, self.asked = False, 0

    def get(self, key: str) -> bytes | None:
        """Count the call and return the stored value."""
        self.asked += 1
        if self.away:
            raise StoreUnavailable("ConnectionError")
        return super().get(key)


def fallback(primary: MemoryStore, clock: Clock, logs: Path) -> Fallback:
    """Return a store that uses `primary`, or memory while `primary` fails."""
    return Fallback(
        primary,
        MemoryStore(ttl_s=TTL_S, size=SIZE, clock=clock),
        clock=clock,
        log=make_logger(logs),
    )


def redis_cache(url: str, log: BoundLogger, clock: Callable[[], float]) -> ReadingCache:
    """Return a cache in Redis as the server builds it."""
    return build_cache(url, ttl_s=TTL_S, size=SIZE, clock=clock, log=log)


def logged(logs: Path) -> list[dict[str, Any]]:
    """Return the parsed lines of the log."""
    return [json.loads(line) for line in log_text(logs).splitlines()]


def test_cache_uses_memory_until_redis_has_restarted(
    frail_redis: RedisServer, tmp_path: Path
) -> None:
    frail_redis.start()
    clock, runs, logs = Clock(), Runs(), tmp_path / "logs"
    url = frail_redis.url
    cache = redis_cache(url, make_logger(logs), clock)
    assert [cache.get_or_compute("photo", runs).cached for _ in range(2)] == [False, True]
    frail_redis.kill()
    # The cache in memory is used now. It is empty, so the first request misses.
    assert [cache.get_or_compute("photo", runs).cached for _ in range(2)] == [False, True]
    assert (cache.stats().degraded, cache.stats().backend, cache.stats().entries) == (
        True,
        "redis",
        1,
    )
    frail_redis.start()
    assert cache.stats().degraded, "Redis must not be tried again before a second has passed"
    clock.now += 1
    # The restarted Redis is empty.
    assert [cache.get_or_compute("photo", runs).cached for _ in range(2)] == [False, True]
    assert (cache.stats().degraded, cache.stats().entries, runs.made) == (False, 1, 3)
    gone, back = logged(logs)
    assert (gone["event"], gone["level"], gone["backend"], gone["error"]) == (
        "cache_degraded",
        "warning",
        "redis",
        "ConnectionError",
    )
    assert (back["event"], back["level"]) == ("cache_restored", "info")


def test_unreachable_redis_is_logged_at_start_without_secrets(
    frail_redis: RedisServer, tmp_path: Path
) -> None:
    url = frail_redis.url
    cache = redis_cache(url, make_logger(tmp_path), Clock())
    text = log_text(tmp_path)
    assert "cache_degraded" in text and cache.stats().degraded
    assert not any(secret in text for secret in (PASSWORD, "127.0.0.1", str(frail_redis.port)))


def test_wrong_password_counts_as_unreachable(redis_server: RedisServer, tmp_path: Path) -> None:
    url = redis_server.url.replace(PASSWORD, "wrong")
    cache, runs = redis_cache(url, make_logger(tmp_path), Clock()), Runs()
    assert [cache.get_or_compute("photo", runs).cached for _ in range(2)] == [False, True]
    assert cache.stats().degraded
    assert [line["error"] for line in logged(tmp_path)] == ["AuthenticationError"]


def test_redis_that_does_not_respond_counts_as_unreachable(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0?socket_timeout=0.05"
        cache = redis_cache(url, make_logger(tmp_path), Clock())
    assert cache.stats().degraded
    assert [line["error"] for line in logged(tmp_path)] == ["TimeoutError"]


def test_primary_store_is_retried_at_growing_intervals(tmp_path: Path) -> None:
    primary, clock = PrimaryStore(), Clock()
    store = fallback(primary, clock, tmp_path)
    primary.away = True
    store.get("photo")
    assert primary.asked == 1
    for tries, wait in enumerate([1, 2, 4, 8, 16, 32, 60, 60], 2):
        clock.now += wait - 0.5
        store.get("photo")
        assert primary.asked == tries - 1, (
            f"the primary store was tried again before {wait} s had passed"
        )
        clock.now += 0.5
        store.get("photo")
        assert primary.asked == tries
    primary.away = False
    clock.now += 60
    store.get("photo")
    assert not store.degraded
    clock.now += 60
    primary.away = True
    store.get("photo")
    clock.now += 1
    store.get("photo")
    assert primary.asked == 12, (
        "after a recovery, the first retry must come after the shortest wait again"
    )
    assert [line["event"] for line in logged(tmp_path)] == [
        "cache_degraded",
        "cache_restored",
        "cache_degraded",
    ]


def test_one_request_retries_redis_while_others_use_memory(tmp_path: Path) -> None:
    trying, go_on = threading.Event(), threading.Event()

    class Slow(PrimaryStore):
        def get(self, key: str) -> bytes | None:
            if self.asked:
                trying.set()
                assert go_on.wait(60)
            return super().get(key)

    primary, clock = Slow(), Clock()
    store = fallback(primary, clock, tmp_path)
    primary.away = True
    store.put("photo", b"far")
    store.get("photo")
    store.put("photo", b"near")
    clock.now += 1
    with ThreadPoolExecutor(1) as callers:
        first = callers.submit(store.get, "photo")
        assert trying.wait(60)
        assert store.get("photo") == b"near"
        primary.away = False
        go_on.set()
        assert first.result() == b"far"
    assert not store.degraded


def test_concurrent_failures_of_the_primary_store_are_logged_once(tmp_path: Path) -> None:
    all_asking = threading.Barrier(4, timeout=60)

    class Going(PrimaryStore):
        def get(self, key: str) -> bytes | None:
            all_asking.wait()
            return super().get(key)

    primary, clock = Going(), Clock()
    store = fallback(primary, clock, tmp_path)
    primary.away = True
    with ThreadPoolExecutor(4) as callers:
        assert list(callers.map(store.get, ["photo"] * 4)) == [None] * 4
    assert len(logged(tmp_path)) == 1
    clock.now += 1
    primary.away, all_asking = False, threading.Barrier(1)
    store.get("photo")
    assert not store.degraded, (
        "concurrent failures must count as one, so that the shortest wait follows"
    )


def test_redis_stores_hashed_keys_that_expire(redis_server: RedisServer) -> None:
    cache = ReadingCache(
        RedisStore(redis_server.url, ttl_s=TTL_S, size=SIZE, clock=Clock()), ttl_s=TTL_S, size=SIZE
    )
    for key in ("0" * 64, "1" * 64):
        cache.get_or_compute(key, Runs())
    with redis_server.client() as client:
        names = {name.decode() for name in client.scan_iter()}
        assert names == {
            "keylike:readings",
            f"keylike:reading:{'0' * 64}",
            f"keylike:reading:{'1' * 64}",
        }
        assert all(0 < client.pttl(name) <= TTL_S * 1000 for name in names)
        value = client.get(f"keylike:reading:{'0' * 64}")
    assert isinstance(value, bytes)
    assert json.loads(value)["codes"] == list(READING.codes), "the stored value must be JSON"


def test_two_replicas_share_one_redis(redis_server: RedisServer) -> None:
    one, other = (
        ReadingCache(
            RedisStore(redis_server.url, ttl_s=TTL_S, size=SIZE, clock=Clock()),
            ttl_s=TTL_S,
            size=SIZE,
        )
        for _ in range(2)
    )
    one.get_or_compute("photo", Runs())
    assert other.get_or_compute("photo", Runs()).cached
