"""Tests with too many connections, idle or broken connections, and no free file descriptors."""

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
    """Raise the limit on open files of this process, so that the test can open 1,000 sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1500:
        pytest.skip("ulimit -Hn allows less than 1,500 open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1500), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_files(server: Served) -> int:
    """Return the number of open files of the server process."""
    return len([*Path(f"/proc/{server.process.pid}/fd").iterdir()])


def connect(port: int) -> socket.socket:
    """Open a connection and send nothing."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def read_response(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Read one response and return the status and the body."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, json.loads(response.read())


def check_live(connection: socket.socket) -> int:
    """Request /health/live on this connection and return the status."""
    connection.sendall(LIVE)
    return read_response(connection)[0]


def test_idle_connections_above_the_limit_are_closed_for_new_ones(
    serve: Serve, many_files: None
) -> None:
    """Open 1,000 connections, more than the limit. Afterwards the server must close all of them."""
    server = serve(KEYLIKE_CONNECTIONS_PER_ADDRESS="512")
    assert server.ask("POST", "/", plain())[0] == 200
    before = open_files(server)
    others = []
    for number in range(1000):
        others.append(connect(server.port))
        if number % 100 == 0:
            assert server.ask("POST", "/", plain(size=(50, 40 + number)))[0] == 200
            assert server.ask("GET", "/health/live")[0] == 200
    # The server accepts up to 64 new connections before it closes as many old ones.
    assert open_files(server) <= before + 512 + 64
    assert server.ask("POST", "/", plain())[0] == 200
    for each in others:
        each.close()
    until(lambda: open_files(server) <= before)


def test_photo_is_read_while_its_address_has_too_many_idle_connections(
    serve: Serve, many_files: None
) -> None:
    """Keep 530 used connections open, more than the server allows, and send another photo."""
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
def test_jump_of_the_system_clock_closes_no_connection(
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
    # An idle connection is still closed after a while. At the first check of idle connections its
    # last response may not have been sent yet, so let two checks pass.
    for _ in range(2):
        fault_server.now += 1.1
        fault_server.wait_a_turn()
    fault_server.now += 121
    fault_server.wait_a_turn()
    assert quiet.recv(1) == b""
    sending.close()
    quiet.close()


def test_server_closes_its_files_after_a_thousand_short_connections(serve: Serve) -> None:
    server = serve()
    before = open_files(server)
    for _ in range(1000):
        connect(server.port).close()
    assert server.ask("POST", "/", plain())[0] == 200
    until(lambda: open_files(server) <= before)


def test_server_closes_its_files_after_aborted_uploads(serve: Serve) -> None:
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


def test_connections_wait_while_there_are_no_free_file_descriptors(serve: Serve) -> None:
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


def test_server_pauses_accepting_without_free_file_descriptors(fault_server: FaultServer) -> None:
    """Check the pause after a failed accept. Without it the event loop would retry all the time."""

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
