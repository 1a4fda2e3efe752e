"""Figures of a load, from requests that were made up."""

from __future__ import annotations

import pytest

from tools.benchmarks.serving.figures import Shot, callers_got, overload_gave, percentile


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
def test_percentile(values: list[float], share: float, expected: float | None) -> None:
    assert percentile(values, share) == expected


def shot(
    status: int, sent: float = 0.0, answered: float = 0.1, *, retry_after: bool = False
) -> Shot:
    """A request that was sent 2 ms late."""
    return Shot(status, sent, answered, 0.002, retry_after)


def test_callers() -> None:
    shots = [shot(200), shot(200, 1.0, 1.3), shot(200, 1.0, 1.2), shot(500), shot(0), shot(500)]
    got = callers_got(shots, 4, took=2.0, cpu_s=0.06, load_cpu_s=0.003, memory=150_000_000)
    assert (got.callers, got.answered, got.per_s, got.memory_mb) == (4, 3, 1.5, 150.0)
    assert [got.p50_ms, got.p95_ms, got.p99_ms] == pytest.approx([200, 300, 300])
    assert [got.cpu_ms, got.load_cpu_ms] == pytest.approx([20, 1])
    assert got.errors == {"0": 1, "500": 2}


def test_nothing_answered() -> None:
    got = callers_got([shot(503)], 1, took=1.0, cpu_s=0.1, load_cpu_s=0.1, memory=0)
    assert (got.per_s, got.p50_ms, got.p99_ms, got.cpu_ms, got.errors) == (
        0.0,
        None,
        None,
        None,
        {"503": 1},
    )


def test_overload() -> None:
    accepted = [
        shot(200, 0.0, 1.0),
        shot(200, 0.5, 2.0),
        shot(200, 1.5, 2.5),
    ]  # the last after the load
    refused = [shot(503, 0.0, 0.01, retry_after=True), shot(503, 1.0, 1.02, retry_after=True)]
    failed = [shot(503), shot(0), shot(504, retry_after=True)]
    run = overload_gave(
        accepted + refused + failed, peak=2.0, offered=4.0, seconds=2.0, memory=5_000_000
    )
    assert (run.sent, run.accepted, run.refused) == (8, 3, 2)
    assert run.accepted_per_s == 1.0
    assert run.share_of_peak == 0.5
    assert run.accepted_p99_ms == pytest.approx(1500)
    assert [run.refused_p50_ms, run.refused_p95_ms] == pytest.approx([10, 20])
    assert run.failures == {"0": 1, "503": 1, "504": 1}
    assert run.late_p95_ms == pytest.approx(2)
