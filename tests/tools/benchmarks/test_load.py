"""Tests of the load generators with a stub server."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("aiohttp", reason="the load needs aiohttp: make bench installs it")

from tools.benchmarks.serving.load import closed_loop, open_loop, sequential


class StubServer(ThreadingHTTPServer):
    """Server that responds with the given statuses, one after the other.

    It sends no response before `expected` requests have arrived. Status 0 means that it closes the
    connection without a response.
    """

    request_queue_size = 128

    def __init__(self, statuses: list[int], expected: int = 1) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses = itertools.cycle(statuses)
        self.bodies: list[bytes] = []
        self.encodings: set[str | None] = set()
        self.all_arrived = threading.Barrier(expected)
        self.url = f"http://127.0.0.1:{self.server_port}/predict"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StubServer

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.encodings.add(self.headers["Accept-Encoding"])
        self.server.all_arrived.wait()
        if (status := next(self.server.statuses)) == 0:
            self.close_connection = True
            return
        self.send_response(status)
        if status == 503:
            self.send_header("Retry-After", "2")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Discard the message."""


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[StubServer]:
    """Run a stub server. The parameter of the test contains its arguments."""
    with StubServer(*request.param) as stub:
        thread = threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield stub
        stub.shutdown()
        thread.join()


@pytest.mark.parametrize("server", [([200], 3)], indirect=True)
def test_closed_loop_sends_one_request_of_each_client_concurrently(server: StubServer) -> None:
    names = map(str, itertools.count())
    outcomes = asyncio.run(
        closed_loop(server.url, lambda: next(names).encode(), clients=3, seconds=0)
    )
    assert [outcome.status for outcome in outcomes] == [200] * 3
    assert len(server.bodies) == 3
    assert all(b'name="image"' in body for body in server.bodies)
    assert {body.split(b"\r\n")[4] for body in server.bodies} == {b"0", b"1", b"2"}
    assert server.encodings == {"identity"}
    assert all(0 <= outcome.sent < outcome.answered for outcome in outcomes)


@pytest.mark.parametrize("server", [([200, 503, 0, 500],)], indirect=True)
def test_sequential_load_records_status_and_retry_after(server: StubServer) -> None:
    outcomes = sequential(server.url, [b"a", b"b", b"c", b"d"])
    assert [(outcome.status, outcome.retry_after) for outcome in outcomes] == [
        (200, False),
        (503, True),
        (0, False),
        (500, False),
    ]


@pytest.mark.parametrize("server", [([200], 10)], indirect=True)
def test_open_loop_sends_requests_without_waiting_for_responses(server: StubServer) -> None:
    """Send requests to a server that responds only when all ten have arrived."""
    outcomes = asyncio.run(open_loop(server.url, lambda: b"photo", rate=1000, seconds=0.01))
    assert [outcome.status for outcome in outcomes] == [200] * 10
    assert all(outcome.late >= 0 for outcome in outcomes)
    assert [outcome.sent - outcome.late for outcome in outcomes] == pytest.approx(
        [number / 1000 for number in range(10)]
    )
