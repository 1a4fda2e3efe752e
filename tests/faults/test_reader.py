"""A reader that hangs, breaks down, runs out of memory or talks nonsense: who hears of it, and that the next photo is read."""

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
from tests.faults.bench import PATIENCE_S, Bench
from tests.running import until
from tools.fuzzing.forms import form
from tools.plain_pictures import BLUE, GREEN, RED


def raises(error: BaseException) -> Callable[[Sequence[Photo]], object]:
    """A fault."""

    def read(photos: Sequence[Photo]) -> object:
        raise error

    return read


def reads(**changes: object) -> Callable[[Sequence[Photo]], object]:
    """A reading that no reader should give."""

    def read(photos: Sequence[Photo]) -> object:
        good = ColourReader().read(photos)[0]
        assert isinstance(good, Reading)
        return [replace(good, **changes)]  # type: ignore[arg-type]

    return read


def test_a_reader_that_hangs(bench: Bench) -> None:
    """All who wait get 504 at their deadline; from then on nobody waits in vain, health answers, and it ends with the hang."""
    bench.reader.fault = bench.reader.hang
    asked = bench.posting(4)
    assert bench.reader.held.acquire(timeout=PATIENCE_S)
    status, retry_after, body = bench.post()
    assert (status, body["code"], retry_after) == (503, "overloaded", "1"), "the queue is full"
    bench.now += 10.5
    assert [
        (status, body["code"]) for status, _, body in (one.result(PATIENCE_S) for one in asked)
    ] == [(504, "deadline_exceeded")] * 4
    for _ in range(3):
        status, retry_after, body = bench.post()
        assert (status, body["code"]) == (503, "overloaded"), (
            "nobody is kept waiting for a reader that does not come back"
        )
        assert retry_after is not None and 1 <= int(retry_after) <= 10
    assert bench.ask("GET", "/health/live")[0] == 200
    assert bench.ask("GET", "/health/ready")[0] == 503, (
        "whoever shares out the requests sends them elsewhere"
    )
    status, _, body = bench.ask("GET", "/health/detailed")
    assert (status, body["status"]) == (503, "unhealthy")
    assert bench.reader.threads == bench.reader.threads[:1], "no photo of theirs was read"
    bench.reader.fault = None
    bench.reader.let_go.set()
    until(lambda: not bench.scheduler.stuck())
    assert bench.post()[0] == 200
    assert [bench.ask("GET", path)[0] for path in ("/health/ready", "/health/detailed")] == [
        200,
        200,
    ]


def test_one_thread_of_two_that_hangs_leaves_the_other(settings: Settings) -> None:
    bench = Bench(settings.model_copy(update={"threads": 2, "deadline_s": 10.0}))
    bench.reader.fault = bench.reader.hang
    asked = bench.posting(1)
    assert bench.reader.held.acquire(timeout=PATIENCE_S)
    bench.reader.fault = None
    bench.now += 10.5
    assert asked[0].result(PATIENCE_S)[0] == 504
    assert [bench.post()[0] for _ in range(3)] == [200] * 3
    assert bench.ask("GET", "/health/ready")[0] == 200
    assert bench.ask("GET", "/health/detailed")[2]["status"] == "unhealthy"
    bench.stop()


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
        "sure",
    ],
)
def test_a_reader_that_breaks_or_talks_nonsense(
    bench: Bench, capfd: pytest.CaptureFixture[str], fault: Callable[..., object]
) -> None:
    """500 for that photo alone, in general words; the same thread reads the next one, and nothing wrong was kept."""
    photo = bench.photo()
    bench.reader.fault = fault
    status, _, body = bench.post(photo)
    assert (status, body["code"]) == (500, "internal")
    bench.reader.fault = None
    status, _, after = bench.post(photo)
    assert (status, after["cached"], after["bitting"]) == (200, False, "2,5,4,7,3")
    assert len(set(bench.reader.threads)) == 1, "the thread lives on"
    for handler in logging.getLogger("keylike").handlers:
        handler.flush()
    said = capfd.readouterr()
    assert not any(
        word in str(body) + said.err + said.out for word in ("canary", "Traceback", "/secret")
    )


def test_a_reader_that_breaks_over_one_photo_of_many(bench: Bench) -> None:
    def breaks(photos: Sequence[Photo]) -> object:
        if any(photo.pixels[0, 0, 1] > 150 for photo in photos):
            raise RuntimeError("shapes do not match")
        return ColourReader().read(photos)

    bench.reader.fault = breaks
    sent = form(*[("image", bench.photo(colour)) for colour in (RED, GREEN, BLUE, RED)])
    status, _, answer = bench.ask("POST", "/predict/batch", sent["data"], sent["content_type"])
    assert status == 200
    assert [one["success"] or one["code"] for one in answer["results"]] == [
        True,
        "internal",
        "unreadable",
        True,
    ]


def test_a_reader_without_memory_says_when_to_come_back(bench: Bench) -> None:
    photo = bench.photo()
    bench.reader.fault = raises(MemoryError())
    status, retry_after, body = bench.post(photo)
    assert (status, body["code"], retry_after) == (503, "overloaded", "5")
    bench.reader.fault = None
    assert bench.post(photo)[0] == 200


def test_no_thread_to_be_had_says_when_to_come_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with `ulimit -u`; the first photo makes the reader's threads."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "reader":
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", refuse)
        status, retry_after, body = bench.post()
        assert (status, body["code"], retry_after) == (503, "overloaded", "5")
    assert bench.post()[0] == 200
