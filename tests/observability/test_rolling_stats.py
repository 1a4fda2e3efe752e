"""Tests of statistics of the last minutes: percentiles, the time window, and bounded memory."""

from __future__ import annotations

import pytest

from keylike.observability.metrics import RequestRecord
from keylike.observability.photo_trace import PhotoTrace, StageTiming
from keylike.observability.rolling_stats import RecentErrors, RecentStages, Summary


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock that only the test changes."""
    return Clock()


def trace(seconds: float) -> PhotoTrace:
    """Return the trace of a photo that waited in the queue for `seconds` in total.

    It waited for one half before it was decoded and for the other half afterwards.
    """
    timings = (
        StageTiming("queue", 0.0, seconds / 2),
        StageTiming("decode", 0.0, 0.0),
        StageTiming("queue", seconds / 2, seconds),
    )
    return PhotoTrace(0.0, seconds, timings, "read", False, 0.9, None)


def answered(*, crashed: bool) -> RequestRecord:
    """Return the record of a request that crashed or succeeded."""
    return RequestRecord("POST", "/predict", 500 if crashed else 200, 0.1, crashed)


def test_summaries_contain_minimum_mean_and_percentiles(clock: Clock) -> None:
    recent = RecentStages(clock)
    for seconds in range(100, 0, -1):
        recent.record_photo(trace(float(seconds)))
    found = recent.summaries()
    assert found["whole"] == found["queue"] == Summary(100, 1.0, 50.5, 50.0, 95.0, 99.0)
    assert found["decode"] == Summary(100, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert found["model"] is None


def test_summaries_of_one_photo_repeat_its_time(clock: Clock) -> None:
    recent = RecentStages(clock)
    recent.record_photo(trace(2.0))
    assert recent.summaries()["whole"] == Summary(1, 2.0, 2.0, 2.0, 2.0, 2.0)


def test_summaries_ignore_old_and_surplus_photos(clock: Clock) -> None:
    recent = RecentStages(clock, window_s=60, size=3)
    for seconds in (1.0, 2.0, 3.0, 4.0):
        recent.record_photo(trace(seconds))
        clock.now += 25
    found = recent.summaries()["whole"]
    assert found is not None and (found.count, found.min) == (2, 3.0)
    for seconds in (5.0, 6.0, 7.0, 8.0):
        recent.record_photo(trace(seconds))
    found = recent.summaries()["whole"]
    assert found is not None and (found.count, found.min) == (3, 6.0)


def test_error_counts_include_only_requests_in_the_time_window(clock: Clock) -> None:
    errors = RecentErrors(clock, window_s=300)
    assert errors.counts() == (0, 0)
    for crashed in (True, False, True):
        errors.record_request(answered(crashed=crashed))
        clock.now += 100
    assert errors.counts() == (2, 1)
    for _ in range(1000):
        clock.now += 7
        errors.record_request(answered(crashed=False))
    assert len(errors._slots) <= 31
    assert errors.counts()[1] == 0
