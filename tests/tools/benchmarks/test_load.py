"""The load against a little server: how many at a time, what arrives, and what is made of the answers."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("aiohttp", reason="the load needs aiohttp: make bench installs it")

from tools.benchmarks.serving.load import one_after_another, steadily, together


class Counting(ThreadingHTTPServer):
    """Answers the statuses in turn, 0 by hanging up; holds each request until `expected` are there at once."""

    request_queue_size = 128

    def __init__(self, statuses: list[int], expected: int = 1) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses = itertools.cycle(statuses)
        self.bodies: list[bytes] = []
        self.encodings: set[str | None] = set()
        self.all_there = threading.Barrier(expected)
        self.url = f"http://127.0.0.1:{self.server_port}/predict"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Counting

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.encodings.add(self.headers["Accept-Encoding"])
        self.server.all_there.wait()
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
        """Says nothing."""


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Counting]:
    """It, with the statuses and the number at once that the test asks for."""
    with Counting(*request.param) as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield one
        one.shutdown()
        thread.join()


@pytest.mark.parametrize("server", [([200], 3)], indirect=True)
def test_callers_are_there_at_once_and_each_sends_one_at_least(server: Counting) -> None:
    names = map(str, itertools.count())
    shots = asyncio.run(together(server.url, lambda: next(names).encode(), callers=3, seconds=0))
    assert [shot.status for shot in shots] == [200] * 3
    assert len(server.bodies) == 3
    assert all(b'name="image"' in body for body in server.bodies)
    assert {body.split(b"\r\n")[4] for body in server.bodies} == {b"0", b"1", b"2"}
    assert server.encodings == {"identity"}
    assert all(0 <= shot.sent < shot.answered for shot in shots)


@pytest.mark.parametrize("server", [([200, 503, 0, 500],)], indirect=True)
def test_what_is_made_of_the_answers(server: Counting) -> None:
    shots = one_after_another(server.url, [b"a", b"b", b"c", b"d"])
    assert [(shot.status, shot.retry_after) for shot in shots] == [
        (200, False),
        (503, True),
        (0, False),
        (500, False),
    ]


@pytest.mark.parametrize("server", [([200], 10)], indirect=True)
def test_a_steady_load_waits_for_nobody(server: Counting) -> None:
    """None is answered before all ten are there."""
    shots = asyncio.run(steadily(server.url, lambda: b"photo", rate=1000, seconds=0.01))
    assert [shot.status for shot in shots] == [200] * 10
    assert all(shot.late >= 0 for shot in shots)
    assert [shot.sent - shot.late for shot in shots] == pytest.approx(
        [number / 1000 for number in range(10)]
    )
