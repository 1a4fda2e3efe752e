"""What a race brought: every measurement of every round, kept as JSON, and the figures that are taken from it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.benchmarks.serving.figures import Overload, Together
from tools.benchmarks.serving.servers import GUIDE, KEYLIKE


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement of a contender in a round."""

    round: int
    name: str
    size: str
    got: Together


@dataclass(frozen=True, slots=True)
class Limit:
    """What the loop did in a round without HTTP: photos a second on all cores, and processor milliseconds for each."""

    round: int
    size: str
    per_s: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Alone:
    """One caller on an idle server and one process of the loop, taking turns over the same photos: milliseconds of each."""

    http_ms: list[float]
    loop_ms: list[float]

    @property
    def added_ms(self) -> float:
        """What HTTP adds to the median."""
        return statistics.median(self.http_ms) - statistics.median(self.loop_ms)


@dataclass(frozen=True, slots=True)
class About:
    """Where, when and how: the machine in words, the versions of all, what each does, and how the race was started."""

    machine: str
    date: str
    command: str
    seconds: float
    rounds: int
    versions: dict[str, str]
    how: dict[str, str]


@dataclass(frozen=True, slots=True)
class Race:
    """All of it."""

    about: About
    measured: list[Measured]
    limits: list[Limit]
    overloads: dict[str, Overload]
    alone: Alone

    def names(self) -> list[str]:
        """The contenders, Keylike first."""
        return list(self.about.how)

    def of(self, name: str, size: str, callers: int, round: int | None = None) -> list[Together]:
        """Measurements of one contender, of one round or of all."""
        rows = (
            row
            for row in self.measured
            if (row.name, row.size, row.got.callers) == (name, size, callers)
        )
        return [row.got for row in rows if round in (None, row.round)]

    def median(
        self, name: str, size: str, callers: int, figure: Callable[[Together], float | None]
    ) -> float | None:
        """Of one figure over the rounds; None where there is none."""
        return _median(figure(got) for got in self.of(name, size, callers))

    def limit(
        self, size: str, figure: Callable[[Limit], float], round: int | None = None
    ) -> float | None:
        """The loop's figure, the median of its turns."""
        return _median(
            figure(limit)
            for limit in self.limits
            if limit.size == size and round in (None, limit.round)
        )

    def errors(self, name: str, size: str) -> dict[str, int]:
        """Of all rounds, by status."""
        total: dict[str, int] = {}
        for row in self.measured:
            if (row.name, row.size) == (name, size):
                for status, count in row.got.errors.items():
                    total[status] = total.get(status, 0) + count
        return total

    def most_memory(self, name: str, size: str) -> float:
        """Megabytes, whatever the number of callers and the round."""
        return max(
            row.got.memory_mb for row in self.measured if (row.name, row.size) == (name, size)
        )

    def cpu_ratio(self, size: str, callers: int) -> float | None:
        """Keylike's processor time a photo by the loop's in the same round; the median of the rounds."""
        ratios = []
        for number in self._rounds():
            mine = _median(got.cpu_ms for got in self.of(KEYLIKE, size, callers, number))
            loop = self.limit(size, lambda limit: limit.cpu_ms, number)
            ratios.append(mine / loop if mine and loop else None)
        return _median(ratios)

    def speed_ratio(self, size: str, callers: int, others: Iterable[str]) -> float | None:
        """Keylike's photos a second by those of the best of the others in the same round; the median of the rounds."""
        ratios = []
        for number in self._rounds():
            mine = _median(got.per_s for got in self.of(KEYLIKE, size, callers, number))
            best = max(
                (got.per_s for name in others for got in self.of(name, size, callers, number)),
                default=None,
            )
            ratios.append(mine / best if mine and best else None)
        return _median(ratios)

    def peers(self) -> list[str]:
        """All but Keylike and the guide's way."""
        return [name for name in self.names() if name not in (KEYLIKE, GUIDE)]

    def save(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)))

    def _rounds(self) -> range:
        return range(self.about.rounds)


def saved(path: Path) -> Race:
    """What `save` wrote."""
    found = json.loads(path.read_text())
    return Race(
        About(**found["about"]),
        [
            Measured(row["round"], row["name"], row["size"], Together(**row["got"]))
            for row in found["measured"]
        ],
        [Limit(**limit) for limit in found["limits"]],
        {name: Overload(**overload) for name, overload in found["overloads"].items()},
        Alone(**found["alone"]),
    )


def _median(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None
