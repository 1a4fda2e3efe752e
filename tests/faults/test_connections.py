"""A thousand connections, connections that break off, no file left for another one: whoever is inside is served, and it passes."""

from __future__ import annotations

import errno
import http.client
import json
import resource
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.bench import PATIENCE_S, Bench
from tests.running import until
from tests.test_cli_serve import Served
from tools.plain_pictures import plain

Serve = Callable[..., Served]
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def files() -> Iterator[None]:
    """Room for a thousand sockets in the test's own process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1500:
        pytest.skip("ulimit -Hn gives this process less than 1,500 files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1500), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_files(server: Served) -> int:
    """Files that the process has open."""
    return len([*Path(f"/proc/{server.process.pid}/fd").iterdir()])


def connect(port: int) -> socket.socket:
    """A connection on which nothing is said yet."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def answer(asked: socket.socket) -> tuple[int, dict[str, Any]]:
    """Status and body of what was asked before."""
    response = http.client.HTTPResponse(asked)
    response.begin()
    return response.status, json.loads(response.read())


def hear(asked: socket.socket) -> int:
    """Asks whether it lives."""
    asked.sendall(LIVE)
    return answer(asked)[0]


def test_a_thousand_connections(serve: Serve, files: None) -> None:
    """Those inside are served, those above the limit wait for a place and get it; then all is as before."""
    server = serve()
    inside = connect(server.port)
    assert hear(inside) == 200
    before = open_files(server)
    crowd = [connect(server.port) for _ in range(1000)]
    late = connect(server.port)
    late.sendall(LIVE)
    for _ in range(3):
        assert hear(inside) == 200
    inside.sendall(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
        % len(plain())
        + plain()
    )
    assert answer(inside)[1]["bitting"] == "2,5,4,7,3"
    assert open_files(server) <= before + 512
    for each in crowd:
        each.close()
    assert answer(late)[0] == 200
    assert server.ask("POST", "/", plain())[0] == 200
    late.close()
    until(lambda: open_files(server) <= before)
    inside.close()


def test_connections_that_say_nothing_give_way_to_others(bench: Bench) -> None:
    """Not after two minutes, as where there is room, but after a few seconds."""
    bench.server._listener.adj.connection_limit = 12
    half = connect(bench.server.port)
    half.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")
    silent = [connect(bench.server.port) for _ in range(9)]
    until(lambda: len(bench.server._channels) == 12)
    late = connect(bench.server.port)
    late.sendall(LIVE)
    for _ in range(4):
        bench.now += 1.5
        bench.server._listener.pull_trigger()
        until(lambda: bench.server._looked == bench.now)
    assert answer(late)[0] == 200
    assert all(each.recv(1) == b"" for each in silent)
    half.sendall(b"Content-Length: 0\r\n\r\n")
    assert answer(half)[0] == 400, "who had begun to ask is heard"
    for each in [*silent, late, half]:
        each.close()


@pytest.mark.parametrize("jump", [86_400, -86_400], ids=["forward", "back"])
def test_a_time_of_day_that_jumps_cuts_nobody_off(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    real = time.time
    photo = bench.photo()
    sending, quiet = connect(bench.server.port), connect(bench.server.port)
    sending.sendall(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
        % len(photo)
        + photo[:99]
    )
    bench.wait_a_turn()
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    for _ in range(3):
        bench.now += 1.1
        bench.wait_a_turn()
    sending.sendall(photo[99:])
    assert answer(sending)[1]["bitting"] == "2,5,4,7,3"
    assert hear(quiet) == 200
    # And who says nothing is let go in the end, whatever the time of day. The first look may come while the answer is still on its way.
    for _ in range(2):
        bench.now += 1.1
        bench.wait_a_turn()
    bench.now += 121
    bench.wait_a_turn()
    assert quiet.recv(1) == b""
    sending.close()
    quiet.close()


def test_a_thousand_that_come_and_go(serve: Serve) -> None:
    server = serve()
    before = open_files(server)
    for _ in range(1000):
        connect(server.port).close()
    assert server.ask("POST", "/", plain())[0] == 200
    until(lambda: open_files(server) <= before)


def test_uploads_that_are_broken_off(serve: Serve) -> None:
    server = serve()
    before = open_files(server)
    for _ in range(200):
        raw = connect(server.port)
        raw.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 900000\r\n\r\n"
            + bytes(2000)
        )
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
    assert server.ask("POST", "/", plain())[0] == 200
    until(lambda: open_files(server) <= before)
    assert "Traceback" not in server.stop()[2]


def test_no_file_left_for_another_connection(serve: Serve) -> None:
    """RLIMIT_NOFILE of the process: who is inside is served, who is not waits, and is served once there is room."""
    server = serve()
    inside = connect(server.port)
    assert server.ask("POST", "/", plain(size=(50, 40)))[0] == 200
    assert hear(inside) == 200
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (open_files(server) + 2, 4096))
    crowd = [connect(server.port) for _ in range(20)]
    late = connect(server.port)
    late.sendall(LIVE)
    assert [hear(inside) for _ in range(3)] == [200] * 3
    inside.sendall(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
        % len(plain())
        + plain()
    )
    assert answer(inside)[0] == 200
    for each in crowd:
        each.close()
    assert answer(late)[0] == 200
    inside.close()
    late.close()


def test_where_accept_fails_it_is_left_alone_for_a_while(bench: Bench) -> None:
    """It would fail at once again: the loop would do nothing else, as fast as it can."""

    class Exhausted:
        failed = 0

        def accept(self) -> None:
            self.failed += 1
            raise OSError(errno.EMFILE, "Too many open files")

    inside = connect(bench.server.port)
    assert hear(inside) == 200
    real, none_left = bench.server._listener.socket, Exhausted()
    bench.server._listener.socket = none_left
    late = connect(bench.server.port)
    late.sendall(LIVE)
    until(lambda: none_left.failed > 0)
    assert [hear(inside) for _ in range(20)] == [200] * 20
    assert none_left.failed == 1
    bench.server._listener.socket = real
    bench.now += 1
    assert hear(inside) == 200
    assert answer(late)[0] == 200
    inside.close()
    late.close()
