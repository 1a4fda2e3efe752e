"""The results of a comparison, which are stored as JSON, and figures computed from them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.benchmarks.serving.figures import LoadFigures, OverloadFigures
from tools.benchmarks.serving.servers import GUIDE, KEYLIKE


@dataclass(frozen=True, slots=True)
class Measurement:
    """Measurement of one server with one size of photos in one round."""

    round: int
    name: str
    size: str
    figures: LoadFigures


@dataclass(frozen=True, slots=True)
class BaselineResult:
    """Measurement of the baseline (no server) with one size of photos in one round.

    Attributes:
        round: Number of the round.
        size: Size of the photos.
        per_s: Photos per second on all cores.
        cpu_ms: Processor time per photo in milliseconds.
    """

    round: int
    size: str
    per_s: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class SingleClientResult:
    """Milliseconds that each photo took.

    Attributes:
        http_ms: Photos that a single client sent to an idle server.
        baseline_ms: Photos that one process of the baseline read without HTTP.
    """

    http_ms: list[float]
    baseline_ms: list[float]

    @property
    def added_ms(self) -> float:
        """Return the milliseconds that HTTP adds: the difference between the two medians."""
        return statistics.median(self.http_ms) - statistics.median(self.baseline_ms)


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Description of a run.

    Attributes:
        machine: Processor, memory and software versions as text.
        date: Date as YYYY-MM-DD.
        command: Command that started the run.
        seconds: Duration of one measurement in seconds.
        rounds: Number of rounds.
        versions: Version of each server.
        setup: Description of how each server is set up.
    """

    machine: str
    date: str
    command: str
    seconds: float
    rounds: int
    versions: dict[str, str]
    setup: dict[str, str]


@dataclass(frozen=True, slots=True)
class ComparisonResults:
    """All measurements of a comparison."""

    run_info: RunInfo
    measurements: list[Measurement]
    baselines: list[BaselineResult]
    overloads: dict[str, OverloadFigures]
    single_client: SingleClientResult

    def server_names(self) -> list[str]:
        """Return the names of the servers, Keylike first."""
        return list(self.run_info.setup)

    def of(self, name: str, size: str, clients: int, round: int | None = None) -> list[LoadFigures]:
        """Return the figures of one server in one round, or in all rounds if `round` is None."""
        rows = (
            row
            for row in self.measurements
            if (row.name, row.size, row.figures.clients) == (name, size, clients)
        )
        return [row.figures for row in rows if round in (None, row.round)]

    def median(
        self, name: str, size: str, clients: int, value: Callable[[LoadFigures], float | None]
    ) -> float | None:
        """Return the median over the rounds of one figure, or None if it was never measured."""
        return _median(value(figures) for figures in self.of(name, size, clients))

    def baseline(
        self, size: str, value: Callable[[BaselineResult], float], round: int | None = None
    ) -> float | None:
        """Return the median of one figure of the baseline in one round, or in all rounds."""
        return _median(
            value(baseline)
            for baseline in self.baselines
            if baseline.size == size and round in (None, baseline.round)
        )

    def errors(self, name: str, size: str) -> dict[str, int]:
        """Return the number of errors in all rounds by status."""
        total: dict[str, int] = {}
        for row in self.measurements:
            if (row.name, row.size) == (name, size):
                for status, count in row.figures.errors.items():
                    total[status] = total.get(status, 0) + count
        return total

    def peak_memory(self, name: str, size: str) -> float:
        """Return the peak memory in megabytes over all numbers of clients and all rounds."""
        return max(
            row.figures.memory_mb
            for row in self.measurements
            if (row.name, row.size) == (name, size)
        )

    def cpu_ratio(self, size: str, clients: int) -> float | None:
        """Return the ratio of Keylike's processor time per photo to the baseline's.

        A ratio is computed in each round. The result is the median of these ratios.
        """
        ratios = []
        for number in self._rounds():
            own = _median(figures.cpu_ms for figures in self.of(KEYLIKE, size, clients, number))
            baseline_value = self.baseline(size, lambda baseline: baseline.cpu_ms, number)
            ratios.append(own / baseline_value if own and baseline_value else None)
        return _median(ratios)

    def speed_ratio(self, size: str, clients: int, other_names: Iterable[str]) -> float | None:
        """Return the ratio of Keylike's throughput to that of the fastest server in `other_names`.

        A ratio is computed in each round. The result is the median of these ratios.
        """
        ratios = []
        for number in self._rounds():
            own = _median(figures.per_s for figures in self.of(KEYLIKE, size, clients, number))
            best = max(
                (
                    figures.per_s
                    for name in other_names
                    for figures in self.of(name, size, clients, number)
                ),
                default=None,
            )
            ratios.append(own / best if own and best else None)
        return _median(ratios)

    def peer_names(self) -> list[str]:
        """Return the names of all servers except Keylike and the older guide's."""
        return [name for name in self.server_names() if name not in (KEYLIKE, GUIDE)]

    def save(self, path: Path) -> None:
        """Write the results as JSON."""
        path.write_text(json.dumps(asdict(self)))

    def _rounds(self) -> range:
        return range(self.run_info.rounds)


def load_results(path: Path) -> ComparisonResults:
    """Load the results from a file that `ComparisonResults.save` wrote."""
    content = json.loads(path.read_text())
    return ComparisonResults(
        RunInfo(**content["run_info"]),
        [
            Measurement(row["round"], row["name"], row["size"], LoadFigures(**row["figures"]))
            for row in content["measurements"]
        ],
        [BaselineResult(**baseline) for baseline in content["baselines"]],
        {name: OverloadFigures(**overload) for name, overload in content["overloads"].items()},
        SingleClientResult(**content["single_client"]),
    )


def _median(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return statistics.median(present) if present else None
