"""Tests of the cache of readings. Most run with both stores: memory and a real Redis."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest
from pydantic import TypeAdapter

from keylike.cache.reading_cache import CacheResult, CacheStats, ReadingCache, Result, cache_key
from keylike.cache.redis_store import RedisStore
from keylike.cache.stores import MemoryStore, Store
from keylike.errors import BadImage, KeylikeError, ModelLoading, Overloaded
from keylike.readers.contract import (
    Candidate,
    Cut,
    CutLine,
    Drawing,
    Opinion,
    Quality,
    ReaderInfo,
    Reading,
    Reason,
    Unreadable,
)
from keylike.scheduling.client import Client
from tests.redis_server import RedisServer

TTL_S, SIZE = 600, 3
# A reading with numbers that JSON must write with all digits to preserve them exactly.
READING = Reading(
    keyway="SC1",
    codes=(2, 5, 4, 7, 0),
    confidence=0.1 + 0.2,
    calibrated=True,
    cuts=(Cut(1, 2, 1 / 3, 7.738), Cut(2, 5, 5e-324, 1e22)),
    candidates=(Candidate((2, 5, 4, 7, 0), 0.1 + 0.2), Candidate((2, 5, 4, 7, 1), 1e-17)),
    quality=Quality(px_per_mm=12.000000000000002, tilt_deg=-0.0, worn_cuts=(4,)),
    drawing=Drawing(
        ((0.1, 2.0), (3.3333333333333335, 4.0)), (CutLine(1, (1.5, 2.5), (3.5, 4.5)),), (640, 480)
    ),
)
REFUSAL = Unreadable(
    Reason.READERS_DISAGREE,
    "They differ.",
    "Again.",
    Quality(sharpness=0.3),
    (Opinion("a-1", "KW1", (1, 2), 0.4),),
)
INFO = ReaderInfo("colour", "1.0.0", "fake", ("SC1",), "0" * 64)


class Late(KeylikeError):
    """An error that the waiting client raises itself."""


class Waiting(Client):
    """A client whose remaining time is given by a function of the test. None means 60 seconds."""

    def __init__(self, time_left: Callable[[], float | None]) -> None:
        super().__init__()
        object.__setattr__(self, "_time_left", time_left)

    def time_left(self, now: float) -> float:
        """Return the remaining seconds by the function of the test, or raise its error."""
        left = self._time_left()  # type: ignore[attr-defined]
        return 60.0 if left is None else float(left)


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.125

    def __call__(self) -> float:
        return self.now


class Runs:
    """A computation that counts its calls."""

    def __init__(self, result: Result = READING) -> None:
        self.result, self.made, self._lock = result, 0, threading.Lock()

    def __call__(self) -> Result:
        with self._lock:
            self.made += 1
        return self.result


@dataclass
class Kept:
    """A store, and a function that makes its values older."""

    store: Store
    pass_time: Callable[[float], None]


@pytest.fixture(params=["memory", "redis"])
def kept(request: pytest.FixtureRequest) -> Iterator[Kept]:
    """Yield a store in memory, then one in Redis."""
    clock = Clock()

    def tick(seconds: float) -> None:
        clock.now += seconds

    if request.param == "memory":
        yield Kept(MemoryStore(ttl_s=TTL_S, size=SIZE, clock=clock), tick)
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    client = server.client()

    def pass_time(seconds: float) -> None:
        """Shorten the time to live of every key, because Redis has its own clock."""
        tick(seconds)
        for name in client.scan_iter("*"):
            client.pexpire(name, max(0, round(client.pttl(name) - seconds * 1000)))

    yield Kept(RedisStore(server.url, ttl_s=TTL_S, size=SIZE, clock=clock), pass_time)
    client.close()


@pytest.fixture
def cache(kept: Kept) -> ReadingCache:
    """Return a cache that uses the store."""
    return ReadingCache(kept.store, ttl_s=TTL_S, size=SIZE)


@pytest.mark.parametrize("result", [READING, REFUSAL], ids=["reading", "refusal"])
def test_second_request_gets_exactly_the_stored_result(cache: ReadingCache, result: Result) -> None:
    runs = Runs(result)
    first, second = (cache.get_or_compute("photo", runs) for _ in range(2))
    assert runs.made == 1
    assert (first.cached, second.cached) == (False, True)
    # repr distinguishes -0.0 from 0.0, and tuples from lists.
    assert second.result == result and repr(second.result) == repr(result)


def test_reading_expires_after_its_time_to_live(kept: Kept, cache: ReadingCache) -> None:
    runs = Runs()
    cache.get_or_compute("photo", runs)
    kept.pass_time(TTL_S - 5)
    assert cache.get_or_compute("photo", runs).cached
    kept.pass_time(5)
    assert cache.stats().entries == 0
    assert not cache.get_or_compute("photo", runs).cached
    assert runs.made == 2


def test_oldest_reading_is_evicted_when_the_store_is_full(kept: Kept, cache: ReadingCache) -> None:
    runs = Runs()
    for name in ("one", "two", "three", "four"):
        cache.get_or_compute(name, runs)
        kept.pass_time(1)
        assert cache.stats().entries <= SIZE
    assert all(cache.get_or_compute(name, runs).cached for name in ("two", "three", "four"))
    assert not cache.get_or_compute("one", runs).cached
    assert cache.stats().entries == SIZE


def test_memory_store_frees_expired_values() -> None:
    clock, secret = Clock(), bytes(1000)
    store = MemoryStore(ttl_s=TTL_S, size=SIZE, clock=clock)
    held_by_us = sys.getrefcount(secret)
    store.put("photo", secret)
    clock.now += TTL_S
    assert store.get("other") is None
    assert sys.getrefcount(secret) == held_by_us


@pytest.mark.parametrize(
    "failure",
    [
        Overloaded("full", retry_after_s=1),
        ModelLoading("not yet", retry_after_s=1),
        ZeroDivisionError("crash"),
        BadImage("broken"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_failure_is_not_stored(cache: ReadingCache, failure: Exception) -> None:
    def fail() -> Result:
        raise failure

    with pytest.raises(type(failure)):
        cache.get_or_compute("photo", fail)
    assert not cache.get_or_compute("photo", Runs()).cached
    assert cache.stats().misses == 2


def test_stored_value_of_another_format_counts_as_a_miss(kept: Kept, cache: ReadingCache) -> None:
    kept.store.put("photo", b'{"keyway": "SC1"}')
    kept.store.put("other", b"no JSON at all")
    assert not cache.get_or_compute("photo", Runs()).cached
    assert not cache.get_or_compute("other", Runs()).cached
    assert cache.get_or_compute("photo", Runs()).cached


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("confidence", 1.5),
        ("confidence", -0.1),
        ("keyway", "XX9"),
        ("codes", [2, 5, 4, 7, 10]),
        ("codes", [0, 9, 0, 9, 0]),
        ("codes", []),
    ],
)
def test_impossible_stored_reading_counts_as_a_miss(
    kept: Kept, cache: ReadingCache, field: str, value: object
) -> None:
    poisoned = json.loads(TypeAdapter(Reading).dump_json(READING)) | {field: value}
    kept.store.put("photo", json.dumps(poisoned).encode())
    found = cache.get_or_compute("photo", Runs())
    assert (found.cached, found.result) == (False, READING)
    assert (cache.stats().invalid, cache.stats().misses) == (1, 1)
    assert cache.get_or_compute("photo", Runs()).cached


def test_stored_nan_counts_as_a_miss(kept: Kept, cache: ReadingCache) -> None:
    text = TypeAdapter(Reading).dump_json(READING)
    kept.store.put("photo", text.replace(b'"confidence":0.30000000000000004', b'"confidence":NaN'))
    assert not cache.get_or_compute("photo", Runs()).cached
    assert cache.stats().invalid == 1


def test_secret_signs_stored_values_and_hides_their_keys(kept: Kept) -> None:
    signed = ReadingCache(kept.store, ttl_s=TTL_S, size=SIZE, secret=b"secret")
    other = ReadingCache(kept.store, ttl_s=TTL_S, size=SIZE, secret=b"other secret")
    signed.get_or_compute("photo", Runs())
    assert kept.store.get("photo") is None
    assert signed.get_or_compute("photo", Runs()).cached
    assert not other.get_or_compute("photo", Runs()).cached
    name = hmac.digest(b"secret", b"photo", "sha256").hex()
    value = kept.store.get(name)
    assert value is not None
    moved = hmac.digest(b"secret", b"another photo", "sha256").hex()
    for key, forged in (
        (name, TypeAdapter(Result).dump_json(READING)),
        (name, value[:-2] + b"9}"),
        (name, b""),
        (moved, value),
    ):
        kept.store.put(key, forged)
        photo = "photo" if key == name else "another photo"
        assert not signed.get_or_compute(photo, Runs()).cached
    assert signed.stats().invalid == 4


def test_fifty_concurrent_requests_share_one_computation(cache: ReadingCache) -> None:
    all_there = threading.Barrier(50, timeout=60)
    runs = Runs()

    def run() -> Result:
        all_there.wait()  # until the 49 other requests wait for this computation
        return runs()

    def about_to_wait() -> None:
        all_there.wait()

    with ThreadPoolExecutor(50) as callers:
        found = [
            each.result()
            for each in [
                callers.submit(cache.get_or_compute, "photo", run, Waiting(about_to_wait))
                for _ in range(50)
            ]
        ]
    assert runs.made == 1
    assert all(each.result == READING for each in found)
    assert sorted(each.cached for each in found) == [False] + [True] * 49
    stats = cache.stats()
    assert (stats.misses, stats.shared, stats.hits, stats.hit_rate) == (1, 49, 0, 0.98)


def while_another_fails(
    cache: ReadingCache, failure: Exception, run: Callable[[], Result]
) -> tuple[BaseException | None, Future[CacheResult]]:
    """Let one request fail while another waits for its result.

    Returns the error of the first request and the future of the second, which then calls `run`.
    """
    flying, waiting = threading.Event(), threading.Event()

    def fail() -> Result:
        flying.set()
        assert waiting.wait(60)
        raise failure

    with ThreadPoolExecutor(2) as callers:
        first = callers.submit(cache.get_or_compute, "photo", fail)
        assert flying.wait(60)
        second = callers.submit(cache.get_or_compute, "photo", run, Waiting(waiting.set))
        return first.exception(), second


@pytest.mark.parametrize(
    "failure",
    [Overloaded("full", retry_after_s=1), ZeroDivisionError("crash"), KeyboardInterrupt()],
    ids=repr,
)
def test_waiting_request_computes_by_itself_after_a_server_error(
    cache: ReadingCache, failure: Exception
) -> None:
    runs = Runs()
    failed, second = while_another_fails(cache, failure, runs)
    assert failed is failure
    assert second.result() == CacheResult(READING, cached=False)
    assert runs.made == 1
    assert cache.get_or_compute("photo", runs).cached


def test_waiting_request_gets_the_error_about_a_bad_photo(cache: ReadingCache) -> None:
    runs = Runs()
    failed, second = while_another_fails(cache, BadImage("truncated", format="JPEG"), runs)
    shared = second.exception()
    assert isinstance(failed, BadImage) and isinstance(shared, BadImage) and failed is not shared
    assert (
        (shared.message, shared.details)
        == (failed.message, failed.details)
        == ("truncated", {"format": "JPEG"})
    )
    assert runs.made == 0


def test_computation_continues_if_a_waiting_request_gives_up(cache: ReadingCache) -> None:
    flying, given_up = threading.Event(), threading.Event()
    left = iter([0.001, 0.0])  # seconds: the client waits twice without a result, then gives up

    def run() -> Result:
        flying.set()
        assert given_up.wait(60)
        return READING

    def left_s() -> float:
        for seconds in left:
            return seconds
        raise Late("no time left")

    with ThreadPoolExecutor(1) as callers:
        first = callers.submit(cache.get_or_compute, "photo", run)
        assert flying.wait(60)
        with pytest.raises(Late):
            cache.get_or_compute("photo", run, Waiting(left_s))
        given_up.set()
        assert first.result() == CacheResult(READING, cached=False)


def test_different_photos_are_computed_concurrently(cache: ReadingCache) -> None:
    both = threading.Barrier(2, timeout=60)

    def run() -> Result:
        both.wait()  # returns only if both computations run at the same time
        return READING

    with ThreadPoolExecutor(2) as callers:
        found = [
            each.result()
            for each in [
                callers.submit(cache.get_or_compute, name, run) for name in ("one", "other")
            ]
        ]
    assert [each.cached for each in found] == [False, False]


def test_cache_stats_count_hits_and_misses(kept: Kept, cache: ReadingCache) -> None:
    assert cache.stats().hit_rate == 0.0
    for _ in range(4):
        cache.get_or_compute("photo", Runs())
    backend = kept.store.backend
    assert cache.stats() == CacheStats(
        3, 1, 0, 1, SIZE, TTL_S, backend, degraded=False, invalid=0, hit_rate=0.75
    )
    assert backend in ("memory", "redis")


def test_zero_time_to_live_disables_the_cache(kept: Kept) -> None:
    runs, off = Runs(), ReadingCache(kept.store, ttl_s=0, size=SIZE)
    assert [off.get_or_compute("photo", runs).cached for _ in range(2)] == [False, False]
    assert runs.made == 2
    assert (off.stats().hits, off.stats().misses, off.stats().entries, off.stats().ttl_s) == (
        0,
        0,
        0,
        0,
    )


def test_cache_key_depends_on_photo_model_and_options_and_reveals_none() -> None:
    key = cache_key(b"photo", INFO, (1, 2))
    assert key == cache_key(b"photo", INFO, (1, 2))
    others = [
        cache_key(b"Photo", INFO, (1, 2)),
        cache_key(b"photo", replace(INFO, name="other"), (1, 2)),
        cache_key(b"photo", replace(INFO, version="1.0.1"), (1, 2)),
        cache_key(b"photo", replace(INFO, digest="1" * 64), (1, 2)),
        cache_key(b"photo", INFO, (1, 3)),
        # These contain the same characters, but split differently between fields.
        cache_key(b"photo", replace(INFO, name="colour1", version=".0.0"), (1, 2)),
        cache_key(b"photo", INFO, (12,)),
    ]
    assert len({key, *others}) == 8
    # With the plain hash of the photo, anybody with the photo could find out that it is cached.
    assert len(key) == 64 and key != hashlib.sha256(b"photo").hexdigest()
