"""Many photos by the Python client: in order, some at once, and a failure spoils no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keylike_client import Refused, Unreadable, UnusablePhoto
from tests.clients.conftest import Serve, Time
from tests.clients.scripted import FAILURE, Say
from tests.fakes import ColourReader
from tools.plain_pictures import BLUE, GREEN, RED, plain


def test_each_has_its_own_outcome_in_order(serve: Serve, ask: Any, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    photos = [plain(RED), plain(BLUE), tmp_path / "none.jpg", b"text", plain(GREEN)]
    outcomes = list(
        ask(serve()).read_many(photos, progress=lambda done, of: told.append((done, of)))
    )
    assert [one.index for one in outcomes] == [0, 1, 2, 3, 4] and [
        one.photo for one in outcomes
    ] == photos
    assert [one.reading and one.reading.bitting for one in outcomes] == [
        "2,5,4,7,3",
        None,
        None,
        None,
        "1,1,1,1,1",
    ]
    assert [type(one.error) for one in outcomes] == [
        type(None),
        Unreadable,
        UnusablePhoto,
        Refused,
        type(None),
    ]
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert "2,5,4,7,3" not in repr(outcomes)


def test_so_many_are_under_way_at_once_and_no_more(serve: Serve, ask: Any) -> None:
    together = threading.Barrier(3)

    class Meeting(ColourReader):
        def _read(self, photo: Any) -> Any:
            together.wait(20)
            return super()._read(photo)

    running = serve(Meeting(), threads=3)
    photos = [plain((200, 20, shade)) for shade in range(0, 60, 10)]
    outcomes = list(ask(running).read_many(photos, at_once=3))
    assert [one.reading is not None for one in outcomes] == [True] * 6
    assert len(running.server._listener.active_channels) == 3


def test_photos_are_taken_as_they_are_needed(serve: Serve, ask: Any) -> None:
    taken: list[int] = []

    def endless() -> Iterator[bytes]:
        for number in range(10_000):
            taken.append(number)
            yield plain(RED)

    outcomes = ask(serve()).read_many(endless(), at_once=2)
    assert taken == []
    assert next(outcomes).reading is not None
    assert len(taken) == 5
    outcomes.close()
    assert len(taken) == 5


def test_the_pauses_that_a_server_asks_for_are_kept(scripted: Any, ask: Any, time: Time) -> None:
    server = scripted(
        Say(429, FAILURE, {"Retry-After": "5"}),
        Say(422, {**FAILURE, "code": "unreadable", "reason": "glare", "advice": "Turn it."}),
    )
    outcomes = list(ask(server).read_many([b"a", b"b", b"c"], at_once=1))
    assert [(type(one.error), getattr(one.error, "advice", None)) for one in outcomes] == [
        (Unreadable, "Turn it.")
    ] * 3
    assert time.naps == [5.0] and len(server.asked) == 4


def test_whoever_leaves_early_is_not_kept_by_a_pause(scripted: Any, ask: Any) -> None:
    resting, woken = threading.Event(), list[bool]()

    def rest(seconds: float, given_up: threading.Event) -> None:
        resting.set()
        woken.append(given_up.wait(20))

    server = scripted(Say(400, FAILURE), Say(503, FAILURE, {"Retry-After": "50"}))
    outcomes = ask(server, rest=rest).read_many([b"a", b"b"], at_once=1)
    assert next(outcomes).error is not None
    assert resting.wait(20)
    outcomes.close()
    assert woken == [True]


def test_none_at_once_is_told_before_anything_is_sent(ask: Any) -> None:
    with pytest.raises(ValueError, match="at_once"):
        ask("http://127.0.0.1:9").read_many([b"a"], at_once=0)
