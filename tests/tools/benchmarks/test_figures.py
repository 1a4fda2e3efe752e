"""Tests of the figures of a benchmark, computed from invented requests."""

from __future__ import annotations

import pytest

from tools.benchmarks.serving.figures import (
    RequestOutcome,
    load_figures,
    overload_figures,
    percentile,
)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([7.0], 0.99, 7.0),
        ([3.0, 1.0, 2.0, 4.0], 0.5, 2.0),
        (list(map(float, range(1, 101))), 0.95, 95.0),
        ([1.0, 2.0], 1.0, 2.0),
    ],
)
def test_percentile_is_the_smallest_value_that_covers_the_fraction(
    values: list[float], share: float, expected: float | None
) -> None:
    assert percentile(values, share) == expected


def outcome(
    status: int, sent: float = 0.0, answered: float = 0.1, *, retry_after: bool = False
) -> RequestOutcome:
    """Return the outcome of a request that was sent 2 ms later than planned."""
    return RequestOutcome(status, sent, answered, 0.002, retry_after)


def test_load_figures_count_only_successful_requests() -> None:
    outcomes = [
        outcome(200),
        outcome(200, 1.0, 1.3),
        outcome(200, 1.0, 1.2),
        outcome(500),
        outcome(0),
        outcome(500),
    ]
    figures = load_figures(
        outcomes, 4, seconds=2.0, cpu_s=0.06, load_cpu_s=0.003, memory=150_000_000
    )
    assert (figures.clients, figures.answered, figures.per_s, figures.memory_mb) == (
        4,
        3,
        1.5,
        150.0,
    )
    assert [figures.p50_ms, figures.p95_ms, figures.p99_ms] == pytest.approx([200, 300, 300])
    assert [figures.cpu_ms, figures.load_cpu_ms] == pytest.approx([20, 1])
    assert figures.errors == {"0": 1, "500": 2}


def test_load_figures_without_successful_requests_are_none() -> None:
    figures = load_figures([outcome(503)], 1, seconds=1.0, cpu_s=0.1, load_cpu_s=0.1, memory=0)
    assert (figures.per_s, figures.p50_ms, figures.p99_ms, figures.cpu_ms, figures.errors) == (
        0.0,
        None,
        None,
        None,
        {"503": 1},
    )


def test_overload_figures_count_accepted_refused_and_failed_requests() -> None:
    # The response to the last request comes after the load has ended.
    accepted = [outcome(200, 0.0, 1.0), outcome(200, 0.5, 2.0), outcome(200, 1.5, 2.5)]
    refused = [outcome(503, 0.0, 0.01, retry_after=True), outcome(503, 1.0, 1.02, retry_after=True)]
    failed = [outcome(503), outcome(0), outcome(504, retry_after=True)]
    overload = overload_figures(
        accepted + refused + failed, peak=2.0, offered=4.0, seconds=2.0, memory=5_000_000
    )
    assert (overload.sent, overload.accepted, overload.refused) == (8, 3, 2)
    assert overload.accepted_per_s == 1.0
    assert overload.share_of_peak == 0.5
    assert overload.accepted_p99_ms == pytest.approx(1500)
    assert [overload.refused_p50_ms, overload.refused_p95_ms] == pytest.approx([10, 20])
    assert overload.failures == {"0": 1, "503": 1, "504": 1}
    assert overload.late_p95_ms == pytest.approx(2)
