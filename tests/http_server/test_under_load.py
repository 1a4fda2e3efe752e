"""Tests of the server under overload: refusals, deadlines, disconnects and health checks."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from keylike.observability.photo_trace import TraceBuilder
from keylike.scheduling.client import Client
from keylike.settings import Settings
from tests.contract import check_body
from tests.log_text import log_text
from tests.running import PatientReader, Running, until
from tools.plain_pictures import GREEN, RED, plain

PATIENCE_S = 20


def post_head(length: int) -> bytes:
    """Return the request line and the headers of a request that posts `length` bytes."""
    return (
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
        b"Content-Length: %d\r\n\r\n" % length
    )


class Busy:
    """A server whose reader waits until the test allows it to read, with clients in threads."""

    def __init__(self, settings: Settings) -> None:
        self.reader = PatientReader()
        self.running = Running(settings, self.reader)
        self.threads = ThreadPoolExecutor(64)
        self._sizes = iter(range(40, 4000))

    def photo(self, colour: tuple[int, int, int] = RED) -> bytes:
        """Return a new photo, which is not in the cache."""
        return plain(colour, size=(next(self._sizes), 40))

    def post(
        self, headers: dict[str, str] | None = None, client: int = 1
    ) -> Future[tuple[int, str | None, dict[str, Any]]]:
        """Post a photo in a thread. The future has the status, Retry-After and the body."""
        photo = self.photo()

        def post_photo() -> tuple[int, str | None, dict[str, Any]]:
            connection = self.running.connect(client)
            connection.request(
                "POST", "/predict", photo, {"Content-Type": "image/jpeg"} | (headers or {})
            )
            response = connection.getresponse()
            answer = response.status, response.headers["Retry-After"], json.loads(response.read())
            connection.close()
            return answer

        return self.threads.submit(post_photo)

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Get a path and return the status and the body."""
        connection = self.running.connect()
        connection.request("GET", path)
        response = connection.getresponse()
        answer = response.status, json.loads(response.read())
        connection.close()
        return answer

    def check(self, status: int, body: dict[str, Any]) -> None:
        """Check a response against the OpenAPI document."""
        check_body(self.get("/openapi.json")[1], status, body, "/predict", "post")

    def fill(self, count: int) -> list[Future[tuple[int, str | None, dict[str, Any]]]]:
        """Post a photo from each of `count` clients. Return when all have been admitted."""
        posted = [self.post(client=client) for client in range(1, count + 1)]
        self.wait_until_admitted(count)
        return posted

    def wait_until_admitted(self, count: int) -> None:
        """Wait until `count` photos are admitted."""
        until(lambda: self.running.service.slots.admitted == count)


@pytest.fixture
def busy(settings: Settings) -> Iterator[Busy]:
    """Run a server that reads one photo at a time and queues three more."""
    server = Busy(settings.model_copy(update={"threads": 1, "queue": 3, "max_batch": 1}))
    yield server
    server.reader.allowed.set()
    server.threads.shutdown()
    server.running.stop()


def test_health_checks_work_while_the_queue_is_full(busy: Busy) -> None:
    posted = busy.fill(4)
    refused = [busy.post().result(PATIENCE_S)[0] for _ in range(10)]
    assert refused == [503] * 10
    for path in ("/health", "/health/live", "/health/ready"):
        assert busy.get(path)[0] == 200
    assert not busy.reader.allowed.is_set()
    busy.reader.allowed.set()
    assert [one.result(PATIENCE_S)[0] for one in posted] == [200] * 4


def test_full_queue_returns_503_with_retry_after(busy: Busy) -> None:
    busy.fill(4)
    status, retry_after, body = busy.post().result(PATIENCE_S)
    assert (status, body["code"]) == (503, "overloaded")
    assert retry_after is not None and 1 <= int(retry_after) <= 30
    busy.check(status, body)


def test_full_queue_discards_a_body_without_parsing_it(busy: Busy) -> None:
    posted = busy.fill(4)
    available = busy.running.server.body_budget.available
    connection = busy.running.connect()
    # This body would give status 400 if it were parsed. The queue is checked before, and the body
    # is not kept, so it takes nothing from the memory budget.
    connection.putrequest("POST", "/predict")
    for name, value in (
        ("Content-Type", "multipart/form-data; boundary=x"),
        ("Content-Length", "2000000"),
    ):
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(bytes(1_000_000))
    busy.running.wait_a_turn()
    assert busy.running.server.body_budget.available == available
    connection.send(bytes(1_000_000))
    response = connection.getresponse()
    body = json.loads(response.read())
    assert (response.status, body["code"], response.headers["Retry-After"] is not None) == (
        503,
        "overloaded",
        True,
    )
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    busy.check(503, body)
    connection.close()
    busy.reader.allowed.set()
    assert [each.result(PATIENCE_S)[0] for each in posted] == [200] * 4


def test_full_body_budget_refuses_only_large_bodies(settings: Settings) -> None:
    busy = Busy(settings.model_copy(update={"max_bodies": 1_000_000}))
    head = post_head(5_000_000)
    slow = socket.create_connection(("127.0.0.1", busy.running.server.port), timeout=PATIENCE_S)
    slow.sendall(head + bytes(1_150_000))
    until(lambda: busy.running.server.body_budget.available < 50_000)
    connection = busy.running.connect()
    connection.request("POST", "/predict", bytes(500_000), {"Content-Type": "image/jpeg"})
    response = connection.getresponse()
    body = json.loads(response.read())
    assert (response.status, body["code"], response.headers["Retry-After"]) == (
        503,
        "overloaded",
        "1",
    )
    busy.check(503, body)
    connection.close()
    busy.reader.allowed.set()
    assert busy.post().result(PATIENCE_S)[0] == 200
    # After six seconds the stalled upload is evicted, so its memory is free for the next body.
    busy.running.now += 6
    connection = busy.running.connect()
    connection.request(
        "POST", "/predict", plain(size=(90, 90)) + bytes(500_000), {"Content-Type": "image/jpeg"}
    )
    assert connection.getresponse().status == 200
    connection.close()
    slow.close()
    until(lambda: busy.running.server.body_budget.available == 1_000_000)
    busy.threads.shutdown()
    busy.running.stop()


def test_predict_returns_504_after_the_requested_timeout(busy: Busy) -> None:
    posted = busy.fill(1)
    late = busy.post({"X-Request-Timeout": "0.05"})
    status, _, body = late.result(PATIENCE_S)
    assert (status, body["code"]) == (504, "deadline_exceeded")
    busy.check(status, body)
    busy.reader.allowed.set()
    assert posted[0].result(PATIENCE_S)[0] == 200
    assert busy.post().result(PATIENCE_S)[0] == 200
    assert busy.reader.photos == 2, "the photo that timed out must not be read"


def test_requested_timeout_is_limited_by_the_setting(settings: Settings) -> None:
    busy = Busy(settings.model_copy(update={"deadline_s": 0.05}))
    assert [
        busy.post({"X-Request-Timeout": "1e9"}).result(PATIENCE_S)[0],
        busy.post().result(PATIENCE_S)[0],
    ] == [504, 504]
    busy.reader.allowed.set()
    busy.running.stop()


def test_requests_for_the_same_photo_have_separate_deadlines(busy: Busy) -> None:
    """Post the same photo twice: the second client waits for the reading of the first.

    Its timeout must not cancel the reading.
    """
    photo = busy.photo()
    busy.photo = lambda colour=RED: photo  # type: ignore[method-assign]
    first = busy.fill(1)[0]
    assert busy.post({"X-Request-Timeout": "0.05"}).result(PATIENCE_S)[0] == 504
    busy.reader.allowed.set()
    assert first.result(PATIENCE_S)[0] == 200


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_photo_of_a_disconnected_client_is_not_read(
    busy: Busy, settings: Settings, how: str
) -> None:
    posted = busy.fill(1)
    photo = busy.photo(GREEN)
    with socket.create_connection(
        ("127.0.0.1", busy.running.server.port), timeout=PATIENCE_S
    ) as raw:
        raw.sendall(post_head(len(photo)) + photo)
        busy.wait_until_admitted(2)
        if how == "reset":
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    busy.wait_until_admitted(1)
    busy.reader.allowed.set()
    assert posted[0].result(PATIENCE_S)[0] == 200
    assert busy.reader.photos == 1
    logged = [json.loads(line) for line in log_text(settings.logs).splitlines()]
    assert [(line["status"], line["failure"]) for line in logged if line.get("failure")] == [
        (499, "caller_gone")
    ]


def test_pipelined_requests_get_their_responses_in_order(busy: Busy) -> None:
    with socket.create_connection(
        ("127.0.0.1", busy.running.server.port), timeout=PATIENCE_S
    ) as raw:
        for colour in (RED, GREEN, RED):
            photo = busy.photo(colour)
            raw.sendall(post_head(len(photo)) + photo)
        assert busy.reader.asked.wait(PATIENCE_S)
        busy.running.wait_a_turn()
        busy.reader.allowed.set()
        bittings = []
        stream = raw.makefile("rb")
        for _ in range(3):
            assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
            length = int(http.client.parse_headers(stream)["Content-Length"])
            bittings.append(json.loads(stream.read(length))["bitting"])
    assert bittings == ["2,5,4,7,3", "1,1,1,1,1", "2,5,4,7,3"]


def test_incomplete_pipelined_request_does_not_cancel_the_previous_one(busy: Busy) -> None:
    photo = busy.photo()
    head = post_head(len(photo))
    with socket.create_connection(
        ("127.0.0.1", busy.running.server.port), timeout=PATIENCE_S
    ) as raw:
        raw.sendall(head + photo + b"POST / HT")
        assert busy.reader.asked.wait(PATIENCE_S)
        busy.running.wait_a_turn()
        busy.running.now += 61
        busy.running.wait_a_turn()
        busy.reader.allowed.set()
        response = http.client.HTTPResponse(raw)
        response.begin()
        assert (response.status, json.loads(response.read())["bitting"]) == (200, "2,5,4,7,3")


def test_stop_finishes_every_admitted_request(busy: Busy) -> None:
    posted = busy.fill(4)
    busy.running.server.stop()
    busy.reader.allowed.set()
    assert [one.result(PATIENCE_S)[0] for one in posted] == [200] * 4
    busy.running.thread.join(PATIENCE_S)
    assert not busy.running.thread.is_alive()


def test_client_name_is_a_constant_digest_that_is_not_logged(
    busy: Busy, settings: Settings
) -> None:
    names: list[str] = []
    engine = busy.running.service.engines.engine()
    original = engine.read

    def record(data: bytes, client: Client, trace: TraceBuilder) -> Any:
        names.append(client.name)
        return original(data, client, trace)

    engine.read = record  # type: ignore[method-assign]
    busy.reader.allowed.set()
    for _ in range(2):
        assert busy.post().result(PATIENCE_S)[0] == 200
    assert names[0] == names[1] and len(names[0]) == 24 and "127" not in names[0]
    logged = log_text(settings.logs)
    assert names[0] not in logged and "127.0.0.1" not in logged


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "inf", "1_0", "٣", "1e-999", ""])
def test_predict_with_an_invalid_timeout_returns_400(busy: Busy, value: str) -> None:
    status, _, body = busy.post({"X-Request-Timeout": value.encode().decode("latin-1")}).result(
        PATIENCE_S
    )
    assert (status, body["code"]) == (400, "bad_request")
    busy.check(status, body)


def test_photo_of_another_client_is_read_before_most_of_thirty_others(settings: Settings) -> None:
    """Post 30 photos from one loopback address, then one photo from another address."""
    busy = Busy(settings.model_copy(update={"threads": 1}))
    order: list[str] = []
    lock = threading.Lock()

    def post(address: str, photo: bytes) -> None:
        connection = http.client.HTTPConnection(
            "127.0.0.1", busy.running.server.port, timeout=PATIENCE_S, source_address=(address, 0)
        )
        connection.request("POST", "/predict", photo, {"Content-Type": "image/jpeg"})
        assert connection.getresponse().status == 200
        with lock:
            order.append(address)
        connection.close()

    photos = [busy.photo() for _ in range(31)]
    many = [busy.threads.submit(post, "127.0.0.1", photo) for photo in photos[:30]]
    busy.wait_until_admitted(30)
    one = busy.threads.submit(post, "127.0.0.2", photos[30])
    busy.wait_until_admitted(31)
    busy.reader.allowed.set()
    for each in [*many, one]:
        each.result(PATIENCE_S)
    assert order.index("127.0.0.2") < 12
    busy.running.stop()
    busy.threads.shutdown()
