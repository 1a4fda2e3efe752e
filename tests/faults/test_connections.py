"""Tests with too many, idle or broken connections and without file descriptors."""

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

from tests.faults.fault_server import PATIENCE_S, FaultServer
from tests.running import until
from tests.test_cli_serve import Served
from tools.plain_pictures import plain

Serve = Callable[..., Served]
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def many_files() -> Iterator[None]:
    """Raise the limit of open files, so that the test can open a thousand sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1500:
        pytest.skip("ulimit -Hn allows less than 1,500 open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1500), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_files(server: Served) -> int:
    """Return the number of open files of the process."""
    return len([*Path(f"/proc/{server.process.pid}/fd").iterdir()])


def connect(port: int) -> socket.socket:
    """Open a connection and send nothing."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def read_response(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Read one response; return status and body."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, json.loads(response.read())


def check_live(connection: socket.socket) -> int:
    """Request /health/live and return the status."""
    connection.sendall(LIVE)
    return read_response(connection)[0]


def test_idle_connections_above_the_limit_give_way_to_new_ones(
    serve: Serve, many_files: None
) -> None:
    """All files are closed afterwards."""
    server = serve(KEYLIKE_CONNECTIONS_PER_ADDRESS="512")
    assert server.ask("POST", "/", plain())[0] == 200
    before = open_files(server)
    others = []
    for number in range(1000):
        others.append(connect(server.port))
        if number % 100 == 0:
            assert server.ask("POST", "/", plain(size=(50, 40 + number)))[0] == 200
            assert server.ask("GET", "/health/live")[0] == 200
    # A batch of new connections is accepted before as many are closed.
    assert open_files(server) <= before + 512 + 64
    assert server.ask("POST", "/", plain())[0] == 200
    for each in others:
        each.close()
    until(lambda: open_files(server) <= before)


def test_keep_alive_connections_of_one_address_give_way_to_a_photo(
    serve: Serve, many_files: None
) -> None:
    """The clients hold 530 connections, more than the server has, and requested something."""
    server = serve(KEYLIKE_LOG_LEVEL="ERROR")
    held = []
    for _ in range(530):
        held.append(connect(server.port))
        assert check_live(held[-1]) == 200
    assert server.ask("POST", "/", plain())[0] == 200
    assert server.ask("GET", "/health/ready")[0] == 200
    for each in held:
        each.close()


@pytest.mark.parametrize("jump", [86_400, -86_400], ids=["forward", "back"])
def test_clock_jump_closes_no_connection(
    fault_server: FaultServer, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    real = time.time
    photo = fault_server.photo()
    sending, quiet = connect(fault_server.server.port), connect(fault_server.server.port)
    sending.sendall(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
        % len(photo)
        + photo[:99]
    )
    fault_server.wait_a_turn()
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    for _ in range(3):
        fault_server.now += 1.1
        fault_server.wait_a_turn()
    sending.sendall(photo[99:])
    assert read_response(sending)[1]["bitting"] == "2,5,4,7,3"
    assert check_live(quiet) == 200
    # An idle connection is still closed eventually. At the first check its last response may not
    # have been sent yet, so there are two.
    for _ in range(2):
        fault_server.now += 1.1
        fault_server.wait_a_turn()
    fault_server.now += 121
    fault_server.wait_a_turn()
    assert quiet.recv(1) == b""
    sending.close()
    quiet.close()


def test_thousand_short_connections_leave_no_file_open(serve: Serve) -> None:
    server = serve()
    before = open_files(server)
    for _ in range(1000):
        connect(server.port).close()
    assert server.ask("POST", "/", plain())[0] == 200
    until(lambda: open_files(server) <= before)


def test_aborted_uploads_leave_no_file_open(serve: Serve) -> None:
    server = serve()
    before = open_files(server)
    for _ in range(200):
        raw = connect(server.port)
        raw.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
            b"Content-Length: 900000\r\n\r\n" + bytes(2000)
        )
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
    assert server.ask("POST", "/", plain())[0] == 200
    until(lambda: open_files(server) <= before)
    assert "Traceback" not in server.stop()[2]


def test_connections_without_file_descriptors_wait_and_are_then_served(serve: Serve) -> None:
    server = serve()
    inside = connect(server.port)
    assert server.ask("POST", "/", plain(size=(50, 40)))[0] == 200
    assert check_live(inside) == 200
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (open_files(server) + 2, 4096))
    others = [connect(server.port) for _ in range(20)]
    late = connect(server.port)
    late.sendall(LIVE)
    assert [check_live(inside) for _ in range(3)] == [200] * 3
    inside.sendall(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
        % len(plain())
        + plain()
    )
    assert read_response(inside)[0] == 200
    for each in others:
        each.close()
    assert read_response(late)[0] == 200
    inside.close()
    late.close()


def test_accept_without_file_descriptors_is_paused(fault_server: FaultServer) -> None:
    """Without the pause the event loop would be busy with failing calls."""

    class ExhaustedSocket:
        failed = 0

        def accept(self) -> None:
            self.failed += 1
            raise OSError(errno.EMFILE, "Too many open files")

    inside = connect(fault_server.server.port)
    assert check_live(inside) == 200
    real, exhausted = fault_server.server._listener.socket, ExhaustedSocket()
    fault_server.server._listener.socket = exhausted
    late = connect(fault_server.server.port)
    late.sendall(LIVE)
    until(lambda: exhausted.failed > 0)
    assert [check_live(inside) for _ in range(20)] == [200] * 20
    assert exhausted.failed == 1
    fault_server.server._listener.socket = real
    fault_server.now += 1
    assert check_live(inside) == 200
    assert read_response(late)[0] == 200
    inside.close()
    late.close()
