"""A time of day that jumps by a day, forward and back, under the running server: nothing but timestamps goes by it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from keylike.observability.metrics import Answered
from keylike.observability.photo_trace import PhotoTrace
from keylike.observability.rolling_stats import RecentErrors, RecentStages
from keylike.settings import Settings
from tests.faults.bench import PATIENCE_S, Bench

DAY_S = 86_400.0
REAL = time.time


class Wall:
    """The time of day of everything in this process, waitress and structlog too."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return REAL() + self.ahead


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    """Can be set while the server runs."""
    made = Wall()
    monkeypatch.setattr(time, "time", made)
    return made


@pytest.fixture
def bench(settings: Settings, wall: Wall) -> Iterator[Bench]:
    """A server whose own time goes by `now` alone."""
    made = Bench(settings.model_copy(update={"threads": 1}), wall)
    yield made
    made.stop()


@pytest.mark.parametrize("jump", [DAY_S, -DAY_S], ids=["forward", "back"])
def test_photos_deadlines_and_kept_readings_do_not_notice(
    bench: Bench, wall: Wall, jump: float
) -> None:
    known = bench.photo()
    assert bench.post(known)[2]["cached"] is False
    bench.reader.fault = bench.reader.hang
    (asked,) = bench.posting(1)
    assert bench.reader.held.acquire(timeout=PATIENCE_S)
    wall.ahead = jump
    bench.wait_a_turn()
    status, _, body = bench.post(known)
    assert (status, body["cached"]) == (200, True), "what is kept is kept"
    assert abs(body["timestamp"] / 1e3 - wall()) < 60
    bench.reader.let_go.set()
    assert asked.result(PATIENCE_S)[0] == 200, (
        "whoever waits still has the time that a request may take"
    )
    assert bench.ask("GET", "/health/detailed")[0] == 200
    bench.now += 601
    bench.reader.fault = None
    assert bench.post(known)[2]["cached"] is False, "and goes when its own time is over"


def failed(crashed: bool) -> Answered:
    """A request."""
    return Answered("POST", "/", 500 if crashed else 200, 0.1, crashed)


@pytest.mark.parametrize("jump", [DAY_S, -DAY_S], ids=["forward", "back"])
def test_failures_of_before_do_not_stay_recent_for_a_day(jump: float) -> None:
    now = [1_795_000_000.0]
    recent = RecentErrors(lambda: now[0])
    for _ in range(20):
        recent.answered(failed(True))
    assert recent.counts() == (20, 20)
    now[0] += jump
    recent.answered(failed(False))
    assert recent.counts() == (1, 0)


@pytest.mark.parametrize("jump", [DAY_S, -DAY_S], ids=["forward", "back"])
def test_times_of_before_do_not_stay_recent_for_a_day(jump: float) -> None:
    now = [1_795_000_000.0]
    recent = RecentStages(lambda: now[0])
    recent.photo(PhotoTrace(0.0, 9.0, (), "read", False, 0.9, None))
    now[0] += jump
    assert recent.summaries()["whole"] is None
