"""Tests of the parallel map over the photos of one request, also if threads cannot be started."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from keylike.scheduling.parallel_map import parallel_map
from keylike.service import Service
from keylike.settings import Settings
from tests.fakes import colour_reader
from tools.fuzzing.forms import form
from tools.plain_pictures import RED, plain


def refuse_threads(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let `after` more threads with the name "batch" start, then fail as on a full system."""
    start: Callable[[threading.Thread], None] = threading.Thread.start
    left = after

    def limited(thread: threading.Thread) -> None:
        nonlocal left
        if thread.name == "batch":
            if not left:
                raise RuntimeError("can't start new thread")
            left -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)


def test_parallel_map_returns_results_in_order_from_several_threads() -> None:
    barrier = threading.Barrier(3, timeout=20)
    names = set()

    def work(number: int) -> int:
        if number < 3:
            barrier.wait()
        names.add(threading.get_ident())
        return number * number

    assert parallel_map(work, range(10), 3) == [number * number for number in range(10)]
    assert len(names) == 3


@pytest.mark.parametrize("started", [0, 1])
def test_parallel_map_does_all_work_if_a_thread_cannot_be_started(
    monkeypatch: pytest.MonkeyPatch, started: int
) -> None:
    refuse_threads(monkeypatch, started)
    running = threading.active_count()
    assert parallel_map(lambda number: -number, range(20), 8) == [-number for number in range(20)]
    assert threading.active_count() == running


@pytest.mark.parametrize("started", [0, 1, 2])
def test_batch_is_read_completely_if_threads_cannot_be_started(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, started: int
) -> None:
    chosen = settings.model_copy(update={"threads": 4, "cache_ttl_s": 0})
    with Service(chosen, load=colour_reader) as service:
        service.load()
        client = service.app.test_client()
        refuse_threads(monkeypatch, started)
        parts = [("image", plain(RED, size=(40 + number, 30))) for number in range(6)]
        answer = client.post("/predict/batch", **form(*parts)).get_json()
        assert [one["bitting"] for one in answer["results"]] == ["2,5,4,7,3"] * 6
        assert service.slots.admitted == 0
        assert service.slots.in_flight == 0
