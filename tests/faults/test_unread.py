"""Answers that nobody fetches and requests that never end: they hold neither threads nor files nor the places of others."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from keylike.http_server import connections as listening
from keylike.settings import Settings
from tests.faults.bench import PATIENCE_S, Bench
from tests.faults.test_connections import LIVE, answer, connect, hear
from tests.running import until

# The largest of all answers, in a file: two of them are more than the kernel holds for a caller who fetches nothing.
LARGE = b"GET /docs/files/js/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"


def ask_and_fetch_nothing(port: int, times: int) -> socket.socket:
    """So many requests at once, on a connection that takes in next to nothing."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(PATIENCE_S)
    raw.connect(("127.0.0.1", port))
    raw.sendall(LARGE * times)
    return raw


def unsent(bench: Bench) -> list[int]:
    """Bytes of answers on their way, of each connection."""
    return [
        channel.total_outbufs_len
        for channel in tuple(bench.server._listener.active_channels.values())
    ]


@pytest.fixture
def greedy(bench: Bench) -> Iterator[list[socket.socket]]:
    """As many as there are threads, each with far more asked for than it fetches."""
    made = [
        ask_and_fetch_nothing(bench.server.port, 20) for _ in range(bench.server._binding.threads)
    ]

    def nothing_moves() -> bool:
        before = unsent(bench)[: len(made)]
        threading.Event().wait(0.05)
        return len(before) == len(made) and all(before) and unsent(bench)[: len(made)] == before

    until(nothing_moves)
    yield made
    for each in made:
        each.close()


def test_answers_that_nobody_fetches_hold_no_thread(
    bench: Bench, greedy: list[socket.socket]
) -> None:
    with connect(bench.server.port) as late:
        assert hear(late) == 200
    # Nor more files than one for each.
    assert max(unsent(bench)) < 2_000_000


def test_answers_that_nobody_fetches_are_given_up(
    bench: Bench, greedy: list[socket.socket]
) -> None:
    for seconds in (2, 59):
        bench.now += seconds
        bench.wait_a_turn()
    assert all(unsent(bench)[: len(greedy)])
    bench.now += 2
    until(lambda: not any(unsent(bench)))
    assert bench.post()[0] == 200


def test_who_fetches_late_gets_all_in_order(bench: Bench) -> None:
    with ask_and_fetch_nothing(bench.server.port, 3) as raw:
        raw.sendall(LIVE)
        until(lambda: any(unsent(bench)))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        fetched = b""
        while b'"alive"' not in fetched:
            fetched += raw.recv(1 << 20)
    assert fetched.count(b"HTTP/1.1 200 OK") == 4 and len(fetched) > 3 * 1_000_000


def test_what_waits_behind_answers_that_nobody_fetches_gives_its_room_back(bench: Bench) -> None:
    room = bench.server._room._left
    raw = ask_and_fetch_nothing(bench.server.port, 3)
    until(lambda: any(unsent(bench)))
    (channel,) = bench.server._listener.active_channels.values()
    # As if it had come in one piece with the requests before it; over a socket that is for the kernel to say.
    photo = (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 900000\r\n\r\n"
        + bytes(900_000)
    )
    assert channel.received(photo) and bench.server._room._left < room
    raw.close()
    bench.wait_a_turn()
    until(lambda: bench.server._room._left == room)


@pytest.mark.parametrize(
    "begun",
    [b"POST / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n12"],
    ids=["headers", "body"],
)
def test_requests_that_do_not_get_on_give_way_to_others(bench: Bench, begun: bytes) -> None:
    """Not after a minute, as where there is room: everybody would wait as long."""
    bench.server._listener.adj.connection_limit = 12
    half = [connect(bench.server.port) for _ in range(10)]
    for each in half:
        each.sendall(begun)
    until(lambda: len(bench.server._channels) == 12)
    late = connect(bench.server.port)
    late.sendall(LIVE)
    for _ in range(5):
        bench.now += 1.5
        bench.server._listener.pull_trigger()
        until(lambda: bench.server._looked == bench.now)
    assert answer(late)[0] == 200
    assert all(each.recv(1) == b"" for each in half)
    for each in [*half, late]:
        each.close()


def test_each_connection_may_have_a_file_open(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    for files, most in ((1024, 480), (20_000, 512), (resource.RLIM_INFINITY, 512), (100, 64)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        assert listening.most_connections() == most
