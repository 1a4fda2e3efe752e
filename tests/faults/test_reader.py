"""Tests with a reader that hangs, crashes, runs out of memory or returns nonsense."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from keylike.images.photo import Photo
from keylike.readers.contract import Reading
from keylike.settings import Settings
from tests.fakes import ColourReader
from tests.faults.fault_server import PATIENCE_S, FaultServer
from tests.running import until
from tools.fuzzing.forms import form
from tools.plain_pictures import BLUE, GREEN, RED


def raises(error: BaseException) -> Callable[[Sequence[Photo]], object]:
    """Return a fault for the reader: it raises `error`."""

    def read(photos: Sequence[Photo]) -> object:
        raise error

    return read


def reads(**changes: object) -> Callable[[Sequence[Photo]], object]:
    """Return a fault for the reader: it returns a reading with these invalid fields."""

    def read(photos: Sequence[Photo]) -> object:
        good = ColourReader().read(photos)[0]
        assert isinstance(good, Reading)
        return [replace(good, **changes)]  # type: ignore[arg-type]

    return read


def test_requests_fail_at_the_deadline_while_the_reader_hangs(fault_server: FaultServer) -> None:
    """Let the reader hang.

    Waiting requests get status 504 at their deadline. New requests are refused at once until the
    reader returns.
    """
    fault_server.reader.fault = fault_server.reader.hang
    posted = fault_server.post_many(4)
    assert fault_server.reader.hanging.acquire(timeout=PATIENCE_S)
    status, retry_after, body = fault_server.post()
    assert (status, body["code"], retry_after) == (503, "overloaded", "1"), (
        "a photo must be refused while the queue is full"
    )
    fault_server.now += 10.5
    assert [
        (status, body["code"]) for status, _, body in (one.result(PATIENCE_S) for one in posted)
    ] == [(504, "deadline_exceeded")] * 4
    for _ in range(3):
        status, retry_after, body = fault_server.post()
        assert (status, body["code"]) == (503, "overloaded"), (
            "a request must not wait for a reader that hangs"
        )
        assert retry_after is not None and 1 <= int(retry_after) <= 10
    assert fault_server.request("GET", "/health/live")[0] == 200
    # A load balancer must send requests to another server.
    assert fault_server.request("GET", "/health/ready")[0] == 503
    status, _, body = fault_server.request("GET", "/health/detailed")
    assert (status, body["status"]) == (503, "unhealthy")
    assert fault_server.reader.threads == fault_server.reader.threads[:1], (
        "no photo may be read after its deadline"
    )
    fault_server.reader.fault = None
    fault_server.reader.resume.set()
    until(lambda: not fault_server.service.slots.is_stuck())
    assert fault_server.post()[0] == 200
    assert [
        fault_server.request("GET", path)[0] for path in ("/health/ready", "/health/detailed")
    ] == [
        200,
        200,
    ]


def test_photos_are_read_while_one_of_two_reader_threads_hangs(settings: Settings) -> None:
    fault_server = FaultServer(settings.model_copy(update={"threads": 2, "deadline_s": 10.0}))
    fault_server.reader.fault = fault_server.reader.hang
    posted = fault_server.post_many(1)
    assert fault_server.reader.hanging.acquire(timeout=PATIENCE_S)
    fault_server.reader.fault = None
    fault_server.now += 10.5
    assert posted[0].result(PATIENCE_S)[0] == 504
    assert [fault_server.post()[0] for _ in range(3)] == [200] * 3
    assert fault_server.request("GET", "/health/ready")[0] == 200
    assert fault_server.request("GET", "/health/detailed")[2]["status"] == "unhealthy"
    fault_server.stop()


@pytest.mark.parametrize(
    "fault",
    [
        raises(RuntimeError("canary 2,5,4,7,3 in /secret/place")),
        raises(RecursionError("canary")),
        raises(SystemExit("canary")),
        raises(KeyboardInterrupt("canary")),
        raises(GeneratorExit("canary")),
        lambda photos: None,
        lambda photos: [],
        lambda photos: [None],
        lambda photos: ["canary"],
        lambda photos: iter(()),
        reads(codes=(2, 5, 4, 7, 99)),
        reads(codes=()),
        reads(codes=None),
        reads(keyway="canary"),
        reads(confidence=math.nan),
        reads(confidence=1.5),
    ],
    ids=[
        "error",
        "recursion",
        "exit",
        "interrupt",
        "generator-exit",
        "none",
        "too-few",
        "no-result",
        "text",
        "iterator",
        "depth",
        "no-cuts",
        "codes",
        "keyway",
        "nan",
        "overconfident",
    ],
)
def test_reader_fault_returns_500_and_the_next_photo_is_read(
    fault_server: FaultServer, capfd: pytest.CaptureFixture[str], fault: Callable[..., object]
) -> None:
    """Let the reader fail once.

    The response must not show the error, the reader's thread must survive, and the next request
    for the same photo must be read, not taken from the cache.
    """
    photo = fault_server.photo()
    fault_server.reader.fault = fault
    status, _, body = fault_server.post(photo)
    assert (status, body["code"]) == (500, "internal")
    fault_server.reader.fault = None
    status, _, after = fault_server.post(photo)
    assert (status, after["cached"], after["bitting"]) == (200, False, "2,5,4,7,3")
    assert len(set(fault_server.reader.threads)) == 1, (
        "the next photo must be read in the same thread"
    )
    for handler in logging.getLogger("keylike").handlers:
        handler.flush()
    output = capfd.readouterr()
    assert not any(
        word in str(body) + output.err + output.out for word in ("canary", "Traceback", "/secret")
    )


def test_reader_fault_on_one_photo_of_a_batch_affects_only_that_photo(
    fault_server: FaultServer,
) -> None:
    def fail_on_green(photos: Sequence[Photo]) -> object:
        if any(photo.pixels[0, 0, 1] > 150 for photo in photos):
            raise RuntimeError("shapes do not match")
        return ColourReader().read(photos)

    fault_server.reader.fault = fail_on_green
    sent = form(*[("image", fault_server.photo(colour)) for colour in (RED, GREEN, BLUE, RED)])
    status, _, answer = fault_server.request(
        "POST", "/predict/batch", sent["data"], sent["content_type"]
    )
    assert status == 200
    assert [one["success"] or one["code"] for one in answer["results"]] == [
        True,
        "internal",
        "unreadable",
        True,
    ]


def test_photo_is_refused_with_503_if_the_reader_has_no_memory(fault_server: FaultServer) -> None:
    photo = fault_server.photo()
    fault_server.reader.fault = raises(MemoryError())
    status, retry_after, body = fault_server.post(photo)
    assert (status, body["code"], retry_after) == (503, "overloaded", "5")
    fault_server.reader.fault = None
    assert fault_server.post(photo)[0] == 200


def test_photo_is_refused_with_503_if_the_reader_cannot_start_threads(
    fault_server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the start of a thread fail, as `ulimit -u` does, while the first photo needs threads."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "reader":
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", refuse)
        status, retry_after, body = fault_server.post()
        assert (status, body["code"], retry_after) == (503, "overloaded", "5")
    assert fault_server.post()[0] == 200
