"""Tests of reading many photos: in order, concurrently, and with independent failures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keylike_client import Refused, Unreadable, UnusablePhoto
from tests.clients.conftest import FakeClock, Serve
from tests.clients.scripted_server import FAILURE, ScriptedResponse
from tests.fakes import ColourReader
from tools.plain_pictures import BLUE, GREEN, RED, plain


def test_read_many_yields_outcomes_in_order(serve: Serve, make_client: Any, tmp_path: Path) -> None:
    progress_calls: list[tuple[int, int | None]] = []
    photos = [plain(RED), plain(BLUE), tmp_path / "none.jpg", b"text", plain(GREEN)]
    outcomes = list(
        make_client(serve()).read_many(
            photos, progress=lambda done, total: progress_calls.append((done, total))
        )
    )
    assert [outcome.index for outcome in outcomes] == [0, 1, 2, 3, 4] and [
        outcome.photo for outcome in outcomes
    ] == photos
    assert [outcome.reading and outcome.reading.bitting for outcome in outcomes] == [
        "2,5,4,7,3",
        None,
        None,
        None,
        "1,1,1,1,1",
    ]
    assert [type(outcome.error) for outcome in outcomes] == [
        type(None),
        Unreadable,
        UnusablePhoto,
        Refused,
        type(None),
    ]
    assert progress_calls == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert "2,5,4,7,3" not in repr(outcomes)


def test_read_many_limits_concurrency(serve: Serve, make_client: Any) -> None:
    barrier = threading.Barrier(3)

    class ConcurrentReader(ColourReader):
        def _read(self, photo: Any) -> Any:
            barrier.wait(20)
            return super()._read(photo)

    running = serve(ConcurrentReader(), threads=3)
    photos = [plain((200, 20, shade)) for shade in range(0, 60, 10)]
    outcomes = list(make_client(running).read_many(photos, at_once=3))
    assert [outcome.reading is not None for outcome in outcomes] == [True] * 6
    assert len(running.server._listener.active_channels) == 3


def test_read_many_takes_photos_from_a_generator_only_as_needed(
    serve: Serve, make_client: Any
) -> None:
    requested: list[int] = []

    def generate() -> Iterator[bytes]:
        for number in range(10_000):
            requested.append(number)
            yield plain(RED)

    outcomes = make_client(serve()).read_many(generate(), at_once=2)
    assert requested == []
    assert next(outcomes).reading is not None
    assert len(requested) == 5
    outcomes.close()
    assert len(requested) == 5


def test_read_many_waits_for_the_seconds_of_retry_after(
    scripted: Any, make_client: Any, clock: FakeClock
) -> None:
    server = scripted(
        ScriptedResponse(429, FAILURE, {"Retry-After": "5"}),
        ScriptedResponse(
            422, {**FAILURE, "code": "unreadable", "reason": "glare", "advice": "Turn it."}
        ),
    )
    outcomes = list(make_client(server).read_many([b"a", b"b", b"c"], at_once=1))
    assert [
        (type(outcome.error), getattr(outcome.error, "advice", None)) for outcome in outcomes
    ] == [(Unreadable, "Turn it.")] * 3
    assert clock.waits == [5.0] and len(server.requests) == 4


def test_closing_read_many_early_ends_a_wait_before_a_retry(
    scripted: Any, make_client: Any
) -> None:
    sleeping, cancellations = threading.Event(), list[bool]()

    def sleep(seconds: float, cancelled: threading.Event) -> None:
        sleeping.set()
        cancellations.append(cancelled.wait(20))

    server = scripted(
        ScriptedResponse(400, FAILURE), ScriptedResponse(503, FAILURE, {"Retry-After": "50"})
    )
    outcomes = make_client(server, sleep=sleep).read_many([b"a", b"b"], at_once=1)
    assert next(outcomes).error is not None
    assert sleeping.wait(20)
    outcomes.close()
    assert cancellations == [True]


def test_read_many_with_zero_photos_at_once_raises_value_error(make_client: Any) -> None:
    with pytest.raises(ValueError, match="at_once"):
        make_client("http://127.0.0.1:9").read_many([b"a"], at_once=0)
