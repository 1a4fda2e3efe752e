"""What came of one request, and the figures that are taken from many."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shot:
    """One request: its status, 0 where the connection broke; when it was sent and when the whole answer was there, in seconds from the
    beginning of the load; how many seconds after its time it was sent; whether the answer says when to come back."""

    status: int
    sent: float
    answered: float
    late: float
    retry_after: bool

    @property
    def seconds(self) -> float:
        """From sending to the whole answer."""
        return self.answered - self.sent


@dataclass(frozen=True, slots=True)
class Together:
    """What so many callers at a time got: answered photos a second, milliseconds an answer took, processor milliseconds of the server
    (and of the load) for each, the most megabytes of memory, and how many answers of other statuses there were, 0 for broken
    connections. None where nothing was answered."""

    callers: int
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
class Overload:
    """What came of `offered` requests a second: how many were sent; accepted ones a second while the load lasted, beside what the
    server did right before and after for callers who wait (`peak_per_s`); milliseconds; shares; failures by status: whatever is
    neither 200 nor 503 with Retry-After. `late_p95_ms`: how late the load itself was in sending."""

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
        """Accepted requests a second, of those of the peak."""
        return self.accepted_per_s / self.peak_per_s


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that so large a share of all does not exceed; None of nothing."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else None


def callers_got(
    shots: Sequence[Shot],
    callers: int,
    *,
    took: float,
    cpu_s: float,
    load_cpu_s: float,
    memory: int,
) -> Together:
    """Figures of a load that took so many seconds."""
    good = [1e3 * shot.seconds for shot in shots if shot.status == 200]
    return Together(
        callers,
        answered=len(good),
        per_s=len(good) / took,
        p50_ms=percentile(good, 0.5),
        p95_ms=percentile(good, 0.95),
        p99_ms=percentile(good, 0.99),
        cpu_ms=1e3 * cpu_s / len(good) if good else None,
        load_cpu_ms=1e3 * load_cpu_s / len(good) if good else None,
        memory_mb=memory / 1e6,
        errors=by_status(shot for shot in shots if shot.status != 200),
    )


def overload_gave(
    shots: Sequence[Shot], *, peak: float, offered: float, seconds: float, memory: int
) -> Overload:
    """Figures of requests at a fixed rate; accepted ones count towards the rate if they were answered while it lasted."""
    accepted = [shot for shot in shots if shot.status == 200]
    refused = [shot for shot in shots if shot.status == 503 and shot.retry_after]
    refused_ms = [1e3 * shot.seconds for shot in refused]
    return Overload(
        peak_per_s=peak,
        offered_per_s=offered,
        seconds=seconds,
        sent=len(shots),
        accepted=len(accepted),
        accepted_per_s=sum(shot.answered <= seconds for shot in accepted) / seconds,
        accepted_p99_ms=percentile([1e3 * shot.seconds for shot in accepted], 0.99),
        refused=len(refused),
        refused_p50_ms=percentile(refused_ms, 0.5),
        refused_p95_ms=percentile(refused_ms, 0.95),
        failures=by_status(
            shot
            for shot in shots
            if shot.status != 200 and not (shot.status == 503 and shot.retry_after)
        ),
        memory_mb=memory / 1e6,
        late_p95_ms=percentile([1e3 * shot.late for shot in shots], 0.95),
    )


def by_status(shots: Iterable[Shot]) -> dict[str, int]:
    """How many there are of each."""
    return {
        str(status): count
        for status, count in sorted(Counter(shot.status for shot in shots).items())
    }
