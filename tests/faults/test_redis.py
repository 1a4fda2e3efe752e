"""Tests with a Redis that hangs, is killed, restarts, is full, or is another program."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from keylike.cache.fallback import Fallback
from keylike.cache.redis_store import RedisStore
from keylike.cache.stores import MemoryStore, StoreUnavailable
from keylike.observability.logs import make_logger
from keylike.service import Load, create_app
from keylike.settings import Settings
from tests.faults.fault_server import FaultServer
from tests.log_text import log_text
from tests.redis_server import RedisServer
from tools.plain_pictures import plain

NEW, CACHED = (200, False), (200, True)


class FakeRedis:
    """A server that sends `answer` for everything it receives, or nothing if that is None."""

    def __init__(self, answer: bytes | None) -> None:
        self.connections = 0
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            self.connections += 1
            threading.Thread(target=self._reply, args=(client,), daemon=True).start()

    def _reply(self, client: socket.socket) -> None:
        try:
            while client.recv(65536):
                if self._answer is not None:
                    client.sendall(self._answer)
        except OSError:
            return

    def close(self) -> None:
        """Close all sockets."""
        # Only a shutdown wakes the thread that waits in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        for each in [self._listener, *self._sockets]:
            each.close()


class CachedServer:
    """A server whose readings are cached in Redis."""

    def __init__(self, settings: Settings, url: str) -> None:
        self.fault_server = FaultServer(settings.model_copy(update={"redis_url": SecretStr(url)}))
        self._logs = settings.logs

    def post(self, photo: bytes) -> tuple[int, bool]:
        """Post a photo and return the status, and True if the reading was cached."""
        status, _, body = self.fault_server.post(photo)
        return status, body["cached"]

    def post_twice(self) -> list[tuple[int, bool]]:
        """Post a new photo twice and return both results."""
        photo = self.fault_server.photo()
        return [self.post(photo) for _ in range(2)]

    def cache_events(self) -> list[str]:
        """Return the names of the log events about the cache, with their errors."""
        lines = [json.loads(line) for line in log_text(self._logs).splitlines()]
        return [
            line["event"] + (f" {line['error']}" if "error" in line else "")
            for line in lines
            if line["event"].startswith("cache_")
        ]


@pytest.fixture
def serve(settings: Settings) -> Iterator[Callable[[str], CachedServer]]:
    """Return a function that starts servers. Stop them after the test."""
    servers: list[CachedServer] = []

    def start(url: str) -> CachedServer:
        servers.append(CachedServer(settings, url))
        return servers[-1]

    yield start
    for each in servers:
        each.fault_server.stop()


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"\x00\xff\xfe garbage\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"$not-a-length\r\n",
        b"*1000000\r\n*1000000\r\n",
        b"*1\r\n" * 5000,
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"-NOAUTH Authentication required.\r\n",
        b":5\r\n",
    ],
    ids=["silence", "bytes", "http", "length", "many", "nested", "loading", "noauth", "number"],
)
def test_cache_falls_back_to_memory_if_redis_is_another_program(
    serve: Callable[[str], CachedServer], answer: bytes | None
) -> None:
    fake = FakeRedis(answer)
    shared = serve(fake.url)
    connections = fake.connections
    assert [shared.post_twice() for _ in range(3)] == [[NEW, CACHED]] * 3
    assert shared.fault_server.cache.degraded
    assert fake.connections == connections, "no request may contact Redis before the retry is due"
    shared.fault_server.now += 1
    assert shared.post_twice() == [NEW, CACHED]
    assert fake.connections <= connections + 1, "only one request may retry Redis"
    assert len(shared.cache_events()) == 1
    fake.close()


def test_cache_uses_memory_while_redis_is_frozen_and_recovers(
    serve: Callable[[str], CachedServer], frail_redis: RedisServer
) -> None:
    frail_redis.start()
    shared = serve(frail_redis.url)
    assert shared.post_twice() == [NEW, CACHED]
    assert frail_redis._process is not None
    os.kill(frail_redis._process.pid, signal.SIGSTOP)
    try:
        assert [shared.post_twice() for _ in range(2)] == [[NEW, CACHED]] * 2
    finally:
        os.kill(frail_redis._process.pid, signal.SIGCONT)
    assert shared.fault_server.cache.degraded
    assert shared.fault_server.request("GET", "/health/ready")[0] == 200
    assert "Redis is unreachable" in str(
        shared.fault_server.request("GET", "/health/detailed")[2]["reasons"]
    )
    shared.fault_server.now += 1
    assert shared.post_twice() == [NEW, CACHED]
    assert not shared.fault_server.cache.degraded
    assert shared.cache_events() == ["cache_degraded TimeoutError", "cache_restored"]


def test_health_is_degraded_while_the_rate_limits_have_a_frozen_redis(
    settings: Settings, model: Load, frail_redis: RedisServer
) -> None:
    """Freeze Redis while only the rate limits use it, because the cache is off."""
    frail_redis.start()
    limited = settings.model_copy(
        update={"redis_url": SecretStr(frail_redis.url), "limits": "on", "cache_ttl_s": 0}
    )
    client = create_app(limited, load=model).test_client()

    def post() -> tuple[int, str, str]:
        status = client.post("/predict", data=plain(), content_type="image/jpeg").status_code
        health = client.get("/health/detailed").get_json()
        return status, health["status"], str(health["reasons"])

    assert post() == (200, "healthy", "[]")
    assert frail_redis._process is not None
    os.kill(frail_redis._process.pid, signal.SIGSTOP)
    try:
        status, health, reasons = post()
    finally:
        os.kill(frail_redis._process.pid, signal.SIGCONT)
    assert (status, health) == (200, "degraded") and "counts requests on its own" in reasons


def test_cache_uses_memory_while_redis_is_killed_and_recovers(
    serve: Callable[[str], CachedServer], frail_redis: RedisServer
) -> None:
    frail_redis.start()
    shared = serve(frail_redis.url)
    shared.fault_server.reader.fault = shared.fault_server.reader.hang
    posted = shared.fault_server.post_many(6)
    frail_redis.kill()
    shared.fault_server.reader.fault = None
    shared.fault_server.reader.resume.set()
    assert [one.result(20)[0] for one in posted] == [200] * 6
    assert shared.post_twice() == [NEW, CACHED]
    frail_redis.start()
    shared.fault_server.now += 1
    assert shared.post_twice() == [NEW, CACHED]
    assert shared.cache_events() == ["cache_degraded ConnectionError", "cache_restored"]


def test_cache_uses_memory_while_redis_is_full_and_retries_rarely(
    serve: Callable[[str], CachedServer], frail_redis: RedisServer
) -> None:
    """Fill Redis. It then still responds to reads, but refuses writes."""
    frail_redis.start()
    with frail_redis.client() as client:
        client.config_set("maxmemory", "1")
        shared = serve(frail_redis.url)
        for _ in range(60):
            shared.post_twice()
            shared.fault_server.now += 1
        assert shared.post_twice() == [NEW, CACHED]
        assert 0 < shared.cache_events().count("cache_degraded OutOfMemoryError") <= 7
        client.config_set("maxmemory", "0")
    shared.fault_server.now += 60
    assert shared.post_twice() == [NEW, CACHED]
    assert not shared.fault_server.cache.degraded


def test_cache_uses_memory_after_a_changed_redis_password_and_recovers(
    serve: Callable[[str], CachedServer], frail_redis: RedisServer
) -> None:
    frail_redis.start()
    shared = serve(frail_redis.url)
    assert shared.post_twice() == [NEW, CACHED]
    with frail_redis.client() as client:
        client.config_set("requirepass", "another")
        client.client_kill_filter(_type="normal", skipme=True)
        assert shared.post_twice() == [NEW, CACHED]
        assert shared.fault_server.cache.degraded
        client.config_set("requirepass", "canary-password")
    shared.fault_server.now += 60
    assert shared.post_twice() == [NEW, CACHED]
    assert not shared.fault_server.cache.degraded
    text = (shared.fault_server.cache._store.backend, *shared.cache_events())
    assert text[0] == "redis" and len(text) == 3


def test_fallback_avoids_a_slow_primary_store_until_it_is_fast_again(tmp_path: Path) -> None:
    """Delay the primary store by 0.6 s, which is longer than reading a photo takes."""
    now, delay_s = [0.0], [0.0]

    class SlowStore(MemoryStore):
        gets = 0

        def get(self, key: str) -> bytes | None:
            self.gets += 1
            now[0] += delay_s[0]
            return super().get(key)

    primary, secondary = (
        kind(ttl_s=600, size=9, clock=lambda: now[0]) for kind in (SlowStore, MemoryStore)
    )
    store = Fallback(primary, secondary, clock=lambda: now[0], log=make_logger(tmp_path))
    store.put("photo", b"far")
    delay_s[0] = 0.6
    assert store.get("photo") == b"far" and store.degraded
    assert [store.get("photo") for _ in range(5)] == [None] * 5
    assert isinstance(primary, SlowStore) and primary.gets == 1
    now[0] += 1
    assert store.get("photo") == b"far" and store.degraded, (
        "a store that is still slow must stay degraded"
    )
    delay_s[0] = 0.0
    now[0] += 2
    assert store.get("photo") == b"far" and not store.degraded


def test_fallback_retries_an_unstable_primary_store_rarely(tmp_path: Path) -> None:
    now = [0.0]

    class FullStore(MemoryStore):
        puts = 0

        def put(self, key: str, value: bytes) -> None:
            self.puts += 1
            raise StoreUnavailable("OutOfMemoryError")

    primary, secondary = (
        kind(ttl_s=600, size=9, clock=lambda: now[0]) for kind in (FullStore, MemoryStore)
    )
    store = Fallback(primary, secondary, clock=lambda: now[0], log=make_logger(tmp_path))
    for _ in range(600):
        store.get("photo")
        store.put("photo", b"reading")
        now[0] += 1
    assert isinstance(primary, FullStore) and primary.puts < 20
    lines = [json.loads(line) for line in log_text(tmp_path).splitlines()]
    assert len(lines) < 40


def test_redis_store_drops_entries_of_a_replica_with_a_wrong_clock(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """Fill the store with entries of a replica whose clock was a day ahead.

    They seem to expire tomorrow, and would displace the real entries.
    """
    now = [1_795_000_000.0]
    store = RedisStore(redis_server.url, ttl_s=600, size=3, clock=lambda: now[0])
    now[0] += 86_400
    for key in "abc":
        store.put(key, b"reading")
    now[0] -= 86_400
    for key in "def":
        store.put(key, b"reading")
    assert [store.get(key) for key in "def"] == [b"reading"] * 3
    assert store.count() == 3
