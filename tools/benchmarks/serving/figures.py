"""Outcome of one request, and the figures computed from many."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """Outcome of one request. Times are in seconds since the load began.

    Attributes:
        status: HTTP status, or 0 if the connection broke.
        sent: Time at which the request was sent.
        answered: Time at which the whole response had arrived.
        late: Delay between the scheduled and the actual time of sending.
        retry_after: True if the response has a Retry-After header.
    """

    status: int
    sent: float
    answered: float
    late: float
    retry_after: bool

    @property
    def seconds(self) -> float:
        """Return the time from sending the request to receiving the whole response."""
        return self.answered - self.sent


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """Figures of a number of concurrent clients, each of which waits for its response.

    Values are None if no request was answered.

    Attributes:
        clients: Number of concurrent clients.
        answered: Number of responses with status 200.
        per_s: Photos read per second.
        p50_ms: Median latency; likewise `p95_ms` and `p99_ms`.
        cpu_ms: Processor time of the server per photo.
        load_cpu_ms: Processor time of the load generator per photo.
        memory_mb: Peak memory of the server.
        errors: Number of other responses by status; 0 is a broken connection.
    """

    clients: int
    answered: int
    per_s: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    cpu_ms: float | None
    load_cpu_ms: float | None
    memory_mb: float
    errors: dict[str, int]


@dataclass(frozen=True, slots=True)
class OverloadFigures:
    """Figures of a fixed request rate above the server's capacity.

    Attributes:
        peak_per_s: Throughput with waiting clients, measured right before and after.
        offered_per_s: Rate at which requests were sent.
        seconds: Duration of the load.
        sent: Number of requests sent.
        accepted: Number of responses with status 200.
        accepted_per_s: Accepted requests per second while the load lasted.
        accepted_p99_ms: Latency of accepted requests.
        refused: Number of responses with status 503 and Retry-After.
        refused_p50_ms: Latency of refused requests; likewise `refused_p95_ms`.
        failures: Number of all other responses by status.
        memory_mb: Peak memory of the server.
        late_p95_ms: Delay of the load generator in sending.
    """

    peak_per_s: float
    offered_per_s: float
    seconds: float
    sent: int
    accepted: int
    accepted_per_s: float
    accepted_p99_ms: float | None
    refused: int
    refused_p50_ms: float | None
    refused_p95_ms: float | None
    failures: dict[str, int]
    memory_mb: float
    late_p95_ms: float | None

    @property
    def share_of_peak(self) -> float:
        """Return the accepted rate as a share of the peak rate."""
        return self.accepted_per_s / self.peak_per_s


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that is at least as large as `share` of all values, or None if
    there are none."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else None


def load_figures(
    outcomes: Sequence[RequestOutcome],
    clients: int,
    *,
    seconds: float,
    cpu_s: float,
    load_cpu_s: float,
    memory: int,
) -> LoadFigures:
    """Compute the figures of waiting clients.

    Args:
        outcomes: Outcomes of all requests.
        clients: Number of concurrent clients.
        seconds: Duration of the load in seconds.
        cpu_s: Processor seconds of the server.
        load_cpu_s: Processor seconds of the load generator.
        memory: Peak memory of the server in bytes.
    """
    latencies_ms = [1e3 * outcome.seconds for outcome in outcomes if outcome.status == 200]
    return LoadFigures(
        clients,
        answered=len(latencies_ms),
        per_s=len(latencies_ms) / seconds,
        p50_ms=percentile(latencies_ms, 0.5),
        p95_ms=percentile(latencies_ms, 0.95),
        p99_ms=percentile(latencies_ms, 0.99),
        cpu_ms=1e3 * cpu_s / len(latencies_ms) if latencies_ms else None,
        load_cpu_ms=1e3 * load_cpu_s / len(latencies_ms) if latencies_ms else None,
        memory_mb=memory / 1e6,
        errors=by_status(outcome for outcome in outcomes if outcome.status != 200),
    )


def overload_figures(
    outcomes: Sequence[RequestOutcome], *, peak: float, offered: float, seconds: float, memory: int
) -> OverloadFigures:
    """Compute the figures of an overload at a fixed rate.

    An accepted request counts towards the rate only if it was answered while the load lasted.

    Args:
        outcomes: Outcomes of all requests.
        peak: Throughput with waiting clients, per second.
        offered: Requests sent per second.
        seconds: Duration of the load.
        memory: Peak memory of the server in bytes.
    """
    accepted = [outcome for outcome in outcomes if outcome.status == 200]
    refused = [outcome for outcome in outcomes if outcome.status == 503 and outcome.retry_after]
    refused_ms = [1e3 * outcome.seconds for outcome in refused]
    return OverloadFigures(
        peak_per_s=peak,
        offered_per_s=offered,
        seconds=seconds,
        sent=len(outcomes),
        accepted=len(accepted),
        accepted_per_s=sum(outcome.answered <= seconds for outcome in accepted) / seconds,
        accepted_p99_ms=percentile([1e3 * outcome.seconds for outcome in accepted], 0.99),
        refused=len(refused),
        refused_p50_ms=percentile(refused_ms, 0.5),
        refused_p95_ms=percentile(refused_ms, 0.95),
        failures=by_status(
            outcome
            for outcome in outcomes
            if outcome.status != 200 and not (outcome.status == 503 and outcome.retry_after)
        ),
        memory_mb=memory / 1e6,
        late_p95_ms=percentile([1e3 * outcome.late for outcome in outcomes], 0.95),
    )


def by_status(outcomes: Iterable[RequestOutcome]) -> dict[str, int]:
    """Count outcomes by status."""
    return {
        str(status): count
        for status, count in sorted(Counter(outcome.status for outcome in outcomes).items())
    }
