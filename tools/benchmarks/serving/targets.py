"""The targets of the comparison: limits for the measured figures."""

from __future__ import annotations

from dataclasses import dataclass

from tools.benchmarks.serving.results import ComparisonResults
from tools.benchmarks.serving.servers import BENTOML, GUIDE, KEYLIKE, LITSERVE

CLIENTS = 16  # number of concurrent clients to which the targets refer
# Names of the photo sizes.
CAPTURES, LARGE = "640x480", "12 MP"
# Keylike's default deadline of a request in milliseconds (KEYLIKE_DEADLINE_S).
_DEADLINE_MS = 30_000.0


@dataclass(frozen=True, slots=True)
class Target:
    """Target for one figure. If the figure could not be measured, the target is missed.

    Attributes:
        name: Key in the JSON output.
        label: Description in the report.
        value: Measured value, or None if it could not be measured.
        limit: Largest allowed value, or smallest allowed value if `at_least` is True.
        at_least: True if `limit` is the smallest allowed value.
    """

    name: str
    label: str
    value: float | None
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Return True if the value is within its limit."""
        if self.value is None:
            return False
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def targets(results: ComparisonResults) -> list[Target]:
    """Return all targets in the order of the report."""
    return [*_cost(results), *_against_others(results), *_overload(results)]


def _cost(results: ComparisonResults) -> list[Target]:
    label = f"processor time per photo relative to no server, {CLIENTS} clients"
    return [
        Target(
            "cpu_ratio_captures", f"{CAPTURES}: {label}", results.cpu_ratio(CAPTURES, CLIENTS), 1.15
        ),
        Target("cpu_ratio_12mp", f"{LARGE}: {label}", results.cpu_ratio(LARGE, CLIENTS), 1.10),
        Target(
            "http_adds_ms",
            f"{CAPTURES}: milliseconds that HTTP adds to decoding and reading, single client, p50",
            results.single_client.added_ms,
            4.0,
        ),
    ]


def _against_others(results: ComparisonResults) -> list[Target]:
    others = [*results.peer_names(), GUIDE]
    best = f"throughput relative to the fastest other server, {CLIENTS} clients"
    memory = "peak memory relative to"
    return [
        Target(
            "speed_captures",
            f"{CAPTURES}: {best}",
            results.speed_ratio(CAPTURES, CLIENTS, others),
            1.0,
            at_least=True,
        ),
        Target(
            "speed_12mp",
            f"{LARGE}: {best}",
            results.speed_ratio(LARGE, CLIENTS, others),
            1.0,
            at_least=True,
        ),
        Target(
            "speed_guide_12mp",
            f"{LARGE}: throughput relative to {GUIDE}, {CLIENTS} clients",
            results.speed_ratio(LARGE, CLIENTS, [GUIDE]),
            1.8,
            at_least=True,
        ),
        *(
            Target(
                f"memory_{name.lower()}_{short}",
                f"{size}: {memory} {name}",
                _memory(results, size, name),
                0.5,
            )
            for name in (LITSERVE, BENTOML)
            for size, short in ((CAPTURES, "captures"), (LARGE, "12mp"))
        ),
    ]


def _memory(results: ComparisonResults, size: str, name: str) -> float:
    return results.peak_memory(KEYLIKE, size) / results.peak_memory(name, size)


def _overload(results: ComparisonResults) -> list[Target]:
    overload = results.overloads[KEYLIKE]
    failed = float(sum(overload.failures.values()))
    return [
        Target(
            "overload_share_of_peak",
            "overload: accepted requests per second relative to the peak",
            overload.share_of_peak,
            0.9,
            at_least=True,
        ),
        Target(
            "overload_accepted_p99_ms",
            "overload: latency of accepted requests, p99 ms (limit: the deadline)",
            overload.accepted_p99_ms,
            _DEADLINE_MS,
        ),
        Target(
            "overload_refused_p95_ms",
            "overload: latency of refused requests, p95 ms",
            overload.refused_p95_ms,
            50.0,
        ),
        Target(
            "overload_failures",
            "overload: responses that are neither 200 nor 503 with Retry-After",
            failed,
            0.0,
        ),
    ]
