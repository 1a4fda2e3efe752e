"""A Redis that stalls, dies, comes back, answers rubbish, is full or shuts us out: memory keeps the readings, and hardly anybody waits."""

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
from keylike.settings import Settings
from tests.faults.bench import Bench
from tests.redis_server import RedisServer

READ, AGAIN = (200, False), (200, True)


class Impostor:
    """Listens where Redis should be, and says to whatever it is asked `answer`, or nothing."""

    def __init__(self, answer: bytes | None) -> None:
        self.asked = 0
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            self._held.append(caller)
            self.asked += 1
            threading.Thread(target=self._speak, args=(caller,), daemon=True).start()

    def _speak(self, caller: socket.socket) -> None:
        try:
            while caller.recv(65536):
                if self._answer is not None:
                    caller.sendall(self._answer)
        except OSError:
            return

    def close(self) -> None:
        """Goes away."""
        # What waits in accept() is woken by this alone.
        self._listener.shutdown(socket.SHUT_RDWR)
        for each in [self._listener, *self._held]:
            each.close()


class Shared:
    """A server whose readings are kept in a Redis."""

    def __init__(self, settings: Settings, url: str) -> None:
        self.bench = Bench(settings.model_copy(update={"redis_url": SecretStr(url)}))
        self._log = settings.logs / "api.log"

    def post(self, photo: bytes) -> tuple[int, bool]:
        """Status, and whether it was known."""
        status, _, body = self.bench.post(photo)
        return status, body["cached"]

    def twice(self) -> list[tuple[int, bool]]:
        """A photo that nobody knows, and the same again."""
        photo = self.bench.photo()
        return [self.post(photo) for _ in range(2)]

    def said(self) -> list[str]:
        """What the log has of the cache."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [
            line["event"] + (f" {line['error']}" if "error" in line else "")
            for line in lines
            if line["event"].startswith("cache_")
        ]


@pytest.fixture
def do(settings: Settings) -> Iterator[Callable[[str], Shared]]:
    """Makes servers, and stops them."""
    made: list[Shared] = []

    def server(url: str) -> Shared:
        made.append(Shared(settings, url))
        return made[-1]

    yield server
    for each in made:
        each.bench.stop()


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"\x00\xff\xfe rubbish\r\n",
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
def test_what_is_no_redis_costs_nobody_an_answer(
    do: Callable[[str], Shared], answer: bytes | None
) -> None:
    impostor = Impostor(answer)
    shared = do(impostor.url)
    asked = impostor.asked
    assert [shared.twice() for _ in range(3)] == [[READ, AGAIN]] * 3
    assert shared.bench.cache.degraded and impostor.asked == asked, (
        "it was asked at the start, and nobody waits for it since"
    )
    shared.bench.now += 1
    assert shared.twice() == [READ, AGAIN]
    assert impostor.asked <= asked + 1, "one caller tries"
    assert len(shared.said()) == 1
    impostor.close()


def test_a_redis_that_is_frozen_and_goes_on(
    do: Callable[[str], Shared], frail_redis: RedisServer
) -> None:
    frail_redis.start()
    shared = do(frail_redis.url)
    assert shared.twice() == [READ, AGAIN]
    assert frail_redis._process is not None
    os.kill(frail_redis._process.pid, signal.SIGSTOP)
    try:
        assert [shared.twice() for _ in range(2)] == [[READ, AGAIN]] * 2
    finally:
        os.kill(frail_redis._process.pid, signal.SIGCONT)
    assert shared.bench.cache.degraded
    assert shared.bench.ask("GET", "/health/ready")[0] == 200
    assert "Redis is away" in str(shared.bench.ask("GET", "/health/detailed")[2]["reasons"])
    shared.bench.now += 1
    assert shared.twice() == [READ, AGAIN]
    assert not shared.bench.cache.degraded
    assert shared.said() == ["cache_degraded TimeoutError", "cache_restored"]


def test_a_redis_that_dies_under_load_and_comes_back(
    do: Callable[[str], Shared], frail_redis: RedisServer
) -> None:
    frail_redis.start()
    shared = do(frail_redis.url)
    shared.bench.reader.fault = shared.bench.reader.hang
    asked = shared.bench.posting(6)
    frail_redis.kill()
    shared.bench.reader.fault = None
    shared.bench.reader.let_go.set()
    assert [one.result(20)[0] for one in asked] == [200] * 6
    assert shared.twice() == [READ, AGAIN]
    frail_redis.start()
    shared.bench.now += 1
    assert shared.twice() == [READ, AGAIN]
    assert shared.said() == ["cache_degraded ConnectionError", "cache_restored"]


def test_a_redis_that_is_full(do: Callable[[str], Shared], frail_redis: RedisServer) -> None:
    """It answers questions and takes nothing: memory takes its place, and it is not asked anew every second for ever."""
    frail_redis.start()
    with frail_redis.client() as client:
        client.config_set("maxmemory", "1")
        shared = do(frail_redis.url)
        for _ in range(60):
            shared.twice()
            shared.bench.now += 1
        assert shared.twice() == [READ, AGAIN]
        assert 0 < shared.said().count("cache_degraded OutOfMemoryError") <= 7
        client.config_set("maxmemory", "0")
    shared.bench.now += 60
    assert shared.twice() == [READ, AGAIN]
    assert not shared.bench.cache.degraded


def test_a_redis_that_shuts_us_out_while_we_use_it(
    do: Callable[[str], Shared], frail_redis: RedisServer
) -> None:
    frail_redis.start()
    shared = do(frail_redis.url)
    assert shared.twice() == [READ, AGAIN]
    with frail_redis.client() as client:
        client.config_set("requirepass", "another")
        client.client_kill_filter(_type="normal", skipme=True)
        assert shared.twice() == [READ, AGAIN]
        assert shared.bench.cache.degraded
        client.config_set("requirepass", "canary-password")
    shared.bench.now += 60
    assert shared.twice() == [READ, AGAIN]
    assert not shared.bench.cache.degraded
    text = (shared.bench.cache._store.backend, *shared.said())
    assert text[0] == "redis" and len(text) == 3


def test_a_slow_store_counts_as_away(tmp_path: Path) -> None:
    """One that answers, but after longer than a photo takes to be read."""
    now, slow = [0.0], [0.0]

    class Far(MemoryStore):
        asked = 0

        def get(self, key: str) -> bytes | None:
            self.asked += 1
            now[0] += slow[0]
            return super().get(key)

    primary, secondary = (
        kind(ttl_s=600, size=9, clock=lambda: now[0]) for kind in (Far, MemoryStore)
    )
    store = Fallback(primary, secondary, clock=lambda: now[0], log=make_logger(tmp_path))
    store.put("photo", b"far")
    slow[0] = 0.6
    assert store.get("photo") == b"far" and store.degraded
    assert [store.get("photo") for _ in range(5)] == [None] * 5
    assert isinstance(primary, Far) and primary.asked == 1
    now[0] += 1
    assert store.get("photo") == b"far" and store.degraded, "it is still slow"
    slow[0] = 0.0
    now[0] += 2
    assert store.get("photo") == b"far" and not store.degraded


def test_one_that_comes_and_goes_is_tried_no_more_often(tmp_path: Path) -> None:
    now = [0.0]

    class Far(MemoryStore):
        puts = 0

        def put(self, key: str, value: bytes) -> None:
            self.puts += 1
            raise StoreUnavailable("OutOfMemoryError")

    primary, secondary = (
        kind(ttl_s=600, size=9, clock=lambda: now[0]) for kind in (Far, MemoryStore)
    )
    store = Fallback(primary, secondary, clock=lambda: now[0], log=make_logger(tmp_path))
    for _ in range(600):
        store.get("photo")
        store.put("photo", b"reading")
        now[0] += 1
    assert isinstance(primary, Far) and primary.puts < 20
    lines = [json.loads(line) for line in (tmp_path / "api.log").read_text().splitlines()]
    assert len(lines) < 40


def test_a_clock_that_was_wrong_leaves_no_ghosts_behind(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """A replica whose time of day is a day ahead for a while fills the index with readings that end tomorrow; they would count, and be
    kept in place of those that are real."""
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
