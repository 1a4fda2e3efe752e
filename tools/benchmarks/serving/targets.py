"""What the race is to show, and whether it does."""

from __future__ import annotations

from dataclasses import dataclass

from tools.benchmarks.serving.results import Race
from tools.benchmarks.serving.servers import BENTOML, GUIDE, KEYLIKE, LITSERVE

CALLERS = 16
CAPTURES, LARGE = "640x480", "12 MP"
# The server's own, KEYLIKE_DEADLINE_S as it comes.
_DEADLINE_MS = 30_000.0


@dataclass(frozen=True, slots=True)
class Target:
    """A figure and what it may be at most or, where `least`, must be at least. What could not be measured is missed."""

    name: str
    words: str
    value: float | None
    limit: float
    least: bool = False

    @property
    def met(self) -> bool:
        """Whether it is so."""
        if self.value is None:
            return False
        return self.value >= self.limit if self.least else self.value <= self.limit


def targets(race: Race) -> list[Target]:
    """All of them, in the order in which they are told."""
    return [*_cost(race), *_against_others(race), *_overload(race)]


def _cost(race: Race) -> list[Target]:
    words = f"processor time a photo, by that of the loop without HTTP, {CALLERS} callers"
    return [
        Target(
            "cpu_ratio_captures", f"{CAPTURES}: {words}", race.cpu_ratio(CAPTURES, CALLERS), 1.15
        ),
        Target("cpu_ratio_12mp", f"{LARGE}: {words}", race.cpu_ratio(LARGE, CALLERS), 1.10),
        Target(
            "http_adds_ms",
            f"{CAPTURES}: milliseconds that HTTP adds to decoding and reading, one caller, p50",
            race.alone.added_ms,
            4.0,
        ),
    ]


def _against_others(race: Race) -> list[Target]:
    others = [*race.peers(), GUIDE]
    best = f"photos a second, by those of the best of the others, {CALLERS} callers"
    memory = "most memory, by that of"
    return [
        Target(
            "speed_captures",
            f"{CAPTURES}: {best}",
            race.speed_ratio(CAPTURES, CALLERS, others),
            1.0,
            least=True,
        ),
        Target(
            "speed_12mp",
            f"{LARGE}: {best}",
            race.speed_ratio(LARGE, CALLERS, others),
            1.0,
            least=True,
        ),
        Target(
            "speed_guide_12mp",
            f"{LARGE}: photos a second, by those of {GUIDE}, {CALLERS} callers",
            race.speed_ratio(LARGE, CALLERS, [GUIDE]),
            1.8,
            least=True,
        ),
        *(
            Target(
                f"memory_{name.lower()}_{short}",
                f"{size}: {memory} {name}",
                _memory(race, size, name),
                0.5,
            )
            for name in (LITSERVE, BENTOML)
            for size, short in ((CAPTURES, "captures"), (LARGE, "12mp"))
        ),
    ]


def _memory(race: Race, size: str, name: str) -> float:
    return race.most_memory(KEYLIKE, size) / race.most_memory(name, size)


def _overload(race: Race) -> list[Target]:
    run = race.overloads[KEYLIKE]
    failed = float(sum(run.failures.values()))
    return [
        Target(
            "overload_share_of_peak",
            "overload: accepted requests a second, of the peak's",
            run.share_of_peak,
            0.9,
            least=True,
        ),
        Target(
            "overload_accepted_p99_ms",
            "overload: milliseconds of the accepted, p99; the deadline",
            run.accepted_p99_ms,
            _DEADLINE_MS,
        ),
        Target(
            "overload_refused_p95_ms",
            "overload: milliseconds of the refused, p95",
            run.refused_p95_ms,
            50.0,
        ),
        Target(
            "overload_failures",
            "overload: answers that are neither 200 nor 503 with Retry-After",
            failed,
            0.0,
        ),
    ]
