"""Tests with clients that do not read their responses, and with requests that never end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from keylike.http_server.listener import max_connections
from keylike.settings import Settings
from tests.faults.fault_server import PATIENCE_S, FaultServer
from tests.faults.test_connections import LIVE, check_live, connect, read_response
from tests.running import until

# A request for the largest file that the server has. Two such responses exceed the buffers of the
# kernel.
LARGE = b"GET /docs/files/js/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"


def request_without_reading(port: int, count: int) -> socket.socket:
    """Pipeline `count` requests on a connection with a tiny receive buffer."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(PATIENCE_S)
    raw.connect(("127.0.0.1", port))
    raw.sendall(LARGE * count)
    return raw


def unsent(fault_server: FaultServer) -> list[int]:
    """Return the number of unsent response bytes of each connection."""
    return [
        channel.total_outbufs_len
        for channel in tuple(fault_server.server._listener.active_channels.values())
    ]


@pytest.fixture
def unread_connections(fault_server: FaultServer) -> Iterator[list[socket.socket]]:
    """Open one connection for each worker thread, each with many unread responses."""
    connections = [
        request_without_reading(fault_server.server.port, 20)
        for _ in range(fault_server.server._binding.threads)
    ]

    def is_stalled() -> bool:
        before = unsent(fault_server)[: len(connections)]
        threading.Event().wait(0.05)
        return (
            len(before) == len(connections)
            and all(before)
            and unsent(fault_server)[: len(connections)] == before
        )

    until(is_stalled)
    yield connections
    for each in connections:
        each.close()


def test_unread_responses_do_not_block_worker_threads(
    fault_server: FaultServer, unread_connections: list[socket.socket]
) -> None:
    with connect(fault_server.server.port) as late:
        assert check_live(late) == 200
    # Each connection buffers at most one file, which has less than 2 MB.
    assert max(unsent(fault_server)) < 2_000_000


def test_unread_responses_are_dropped_after_a_minute(
    fault_server: FaultServer, unread_connections: list[socket.socket]
) -> None:
    for seconds in (2, 59):
        fault_server.now += seconds
        fault_server.wait_a_turn()
    assert all(unsent(fault_server)[: len(unread_connections)])
    fault_server.now += 2
    until(lambda: not any(unsent(fault_server)))
    assert fault_server.post()[0] == 200


def test_responses_that_are_read_late_arrive_complete(fault_server: FaultServer) -> None:
    with request_without_reading(fault_server.server.port, 3) as raw:
        raw.sendall(LIVE)
        until(lambda: any(unsent(fault_server)))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        fetched = b""
        while b'"alive"' not in fetched:
            fetched += raw.recv(1 << 20)
    assert fetched.count(b"HTTP/1.1 200 OK") == 4 and len(fetched) > 3 * 1_000_000


def test_request_behind_unread_responses_frees_its_memory_on_close(
    fault_server: FaultServer,
) -> None:
    available = fault_server.server.body_budget.available
    raw = request_without_reading(fault_server.server.port, 3)
    until(lambda: any(unsent(fault_server)))
    (channel,) = fault_server.server._listener.active_channels.values()
    # Hand the request to the channel directly: it must arrive together with the requests before
    # it, which a socket does not guarantee.
    photo = (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 900000\r\n\r\n"
        + bytes(900_000)
    )
    assert channel.received(photo) and fault_server.server.body_budget.available < available
    raw.close()
    fault_server.wait_a_turn()
    until(lambda: fault_server.server.body_budget.available == available)


@pytest.mark.parametrize(
    "begun",
    [b"POST / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n12"],
    ids=["headers", "body"],
)
def test_stalled_requests_are_closed_early_at_the_connection_limit(
    fault_server: FaultServer, begun: bytes
) -> None:
    """Check that stalled requests are closed within 8 seconds at the connection limit.

    Below the limit a request may take a minute.
    """
    fault_server.server._listener.max_connections = 10
    half = [connect(fault_server.server.port) for _ in range(10)]
    for each in half:
        each.sendall(begun)
    until(lambda: len(fault_server.server._listener.active_channels) == 10)
    with connect(fault_server.server.port) as late:
        assert check_live(late) == 200
    for _ in range(5):
        fault_server.now += 1.5
        fault_server.wait_a_turn()
    for each in half:
        assert read_response(each)[0] == 408
        each.close()
    assert fault_server.post()[0] == 200


def test_max_connections_depends_on_the_limit_of_open_files(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    for files, most in ((1024, 480), (20_000, 512), (resource.RLIM_INFINITY, 512), (100, 64)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        assert max_connections() == most
