"""Tests with a system clock that jumps by a day. Only timestamps may depend on it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from keylike.observability.metrics import RequestRecord
from keylike.observability.photo_trace import PhotoTrace
from keylike.observability.rolling_stats import RecentErrors, RecentStages
from keylike.settings import Settings
from tests.faults.fault_server import PATIENCE_S, FaultServer

DAY_S = 86_400.0
REAL = time.time


class Wall:
    """A system clock that a test can shift. The whole process uses it, with all libraries."""

    def __init__(self) -> None:
        self.offset_s = 0.0

    def __call__(self) -> float:
        return REAL() + self.offset_s


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    """Replace time.time with a clock that the test can shift."""
    clock = Wall()
    monkeypatch.setattr(time, "time", clock)
    return clock


@pytest.fixture
def fault_server(settings: Settings, wall: Wall) -> Iterator[FaultServer]:
    """Run a server that uses the shifted system clock."""
    server = FaultServer(settings.model_copy(update={"threads": 1}), wall)
    yield server
    server.stop()


@pytest.mark.parametrize("jump", [DAY_S, -DAY_S], ids=["forward", "back"])
def test_clock_jump_does_not_affect_deadlines_or_the_cache(
    fault_server: FaultServer, wall: Wall, jump: float
) -> None:
    cached = fault_server.photo()
    assert fault_server.post(cached)[2]["cached"] is False
    fault_server.reader.fault = fault_server.reader.hang
    (posted,) = fault_server.post_many(1)
    assert fault_server.reader.hanging.acquire(timeout=PATIENCE_S)
    wall.offset_s = jump
    fault_server.wait_a_turn()
    status, _, body = fault_server.post(cached)
    assert (status, body["cached"]) == (200, True), "the jump must not empty the cache"
    assert abs(body["timestamp"] / 1e3 - wall()) < 60
    fault_server.reader.resume.set()
    assert posted.result(PATIENCE_S)[0] == 200, "the jump must not shorten the deadline"
    assert fault_server.request("GET", "/health/detailed")[0] == 200
    fault_server.now += 601
    fault_server.reader.fault = None
    assert fault_server.post(cached)[2]["cached"] is False, (
        "the entry must expire after its time to live"
    )


def answered(crashed: bool) -> RequestRecord:
    """Return the record of a request that crashed or succeeded."""
    return RequestRecord("POST", "/", 500 if crashed else 200, 0.1, crashed)


@pytest.mark.parametrize("jump", [DAY_S, -DAY_S], ids=["forward", "back"])
def test_recent_errors_from_before_a_clock_jump_are_dropped(jump: float) -> None:
    now = [1_795_000_000.0]
    recent = RecentErrors(lambda: now[0])
    for _ in range(20):
        recent.record_request(answered(True))
    assert recent.counts() == (20, 20)
    now[0] += jump
    recent.record_request(answered(False))
    assert recent.counts() == (1, 0)


@pytest.mark.parametrize("jump", [DAY_S, -DAY_S], ids=["forward", "back"])
def test_recent_durations_from_before_a_clock_jump_are_dropped(jump: float) -> None:
    now = [1_795_000_000.0]
    recent = RecentStages(lambda: now[0])
    recent.record_photo(PhotoTrace(0.0, 9.0, (), "read", False, 0.9, None))
    now[0] += jump
    assert recent.summaries()["whole"] is None
