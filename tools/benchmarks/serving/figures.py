"""The outcome of one request, and the figures that are computed from many outcomes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """Outcome of one request. Times are in seconds since the load started.

    Attributes:
        status: HTTP status, or 0 if the connection broke.
        sent: Time at which the request was sent.
        answered: Time at which the whole response had arrived.
        late: Seconds between the scheduled and the actual time of sending.
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
    """Figures of a measurement with a fixed number of clients. Each client waits for its response.

    Latencies and processor times are None if no request was answered with status 200.

    Attributes:
        clients: Number of concurrent clients.
        answered: Number of responses with status 200.
        per_s: Photos read per second.
        p50_ms: Median latency in milliseconds.
        p95_ms: 95th percentile of the latency in milliseconds.
        p99_ms: 99th percentile of the latency in milliseconds.
        cpu_ms: Processor time of the server per photo in milliseconds.
        load_cpu_ms: Processor time of the load generator per photo in milliseconds.
        memory_mb: Peak memory of the server in megabytes.
        errors: Number of responses with each other status. Status 0 is a broken connection.
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
    """Figures of an overload: requests at a fixed rate above the server's capacity.

    Attributes:
        peak_per_s: Photos per second without overload: the mean of two measurements, just before
            and just after it, with clients that wait for their responses.
        offered_per_s: Requests sent per second.
        seconds: Duration of the overload in seconds.
        sent: Number of requests sent.
        accepted: Number of responses with status 200.
        accepted_per_s: Responses with status 200 per second during the overload.
        accepted_p99_ms: 99th percentile of the latency of accepted requests in milliseconds.
        refused: Number of responses with status 503 and Retry-After.
        refused_p50_ms: Median latency of refused requests in milliseconds.
        refused_p95_ms: 95th percentile of the latency of refused requests in milliseconds.
        failures: Number of other responses by status. Status 0 is a broken connection.
        memory_mb: Peak memory of the server in megabytes.
        late_p95_ms: 95th percentile of the milliseconds by which the load generator sent late.
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
        """Return the ratio of the accepted requests per second to the peak per second."""
        return self.accepted_per_s / self.peak_per_s


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the percentile at `share` (0 to 1), or None if there are no values.

    It is the smallest value for which at least this fraction of all values is not larger.
    """
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
    """Compute the figures of a measurement with a fixed number of clients.

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

    An accepted request counts towards the rate only if it was answered during the overload.

    Args:
        outcomes: Outcomes of all requests.
        peak: Photos per second without overload.
        offered: Requests sent per second.
        seconds: Duration of the overload in seconds.
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
