"""Runs the comparison: starts, measures and stops each server in every round.

Afterwards it overloads two of the servers: Keylike and the fastest other one.
"""

from __future__ import annotations

import datetime
import math
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.benchmarks.serving.baseline import Baseline, BaselineRun
from tools.benchmarks.serving.figures import OverloadFigures
from tools.benchmarks.serving.measure import (
    measure_clients,
    measure_overload,
    measure_single_client,
)
from tools.benchmarks.serving.peers.work import CORES
from tools.benchmarks.serving.photos import PhotoStream
from tools.benchmarks.serving.results import (
    BaselineResult,
    ComparisonResults,
    Measurement,
    RunInfo,
    SingleClientResult,
)
from tools.benchmarks.serving.server_process import run_server
from tools.benchmarks.serving.servers import KEYLIKE, ServerSpec
from tools.benchmarks.serving.targets import CAPTURES, CLIENTS

CONCURRENCY = (1, 4, 16, 64)  # numbers of concurrent clients
_WARM_CLIENTS, _WARM_S = 4, 2.0  # clients and seconds of the warm-up
# The overload: request rate as a multiple of the server's peak throughput, and duration as a
# multiple of the duration of the other measurements.
_OVERLOAD_FACTOR, _OVERLOAD_LENGTH = 3.0, 2.5
# Number of times that the single client and the baseline alternate, per second of a measurement.
_TURNS = 4


@dataclass(frozen=True)
class Comparison:
    """Comparison of several servers.

    Attributes:
        specs: Servers to compare, Keylike first.
        photos: Photos by size.
        seconds: Duration of one measurement in seconds.
        rounds: Number of times that every server is measured.
        work: Folder for the servers' output.
        report: Function that receives one message per measurement.
    """

    specs: Sequence[ServerSpec]
    photos: Mapping[str, Sequence[bytes]]
    seconds: float
    rounds: int
    work: Path
    report: Callable[[str], None]

    def run(self, command: str) -> ComparisonResults:
        """Run all measurements. `command` is recorded in the results."""
        measurements: list[Measurement] = []
        baselines: list[BaselineResult] = []
        with Baseline(CORES, self.photos) as baseline:
            for number in range(self.rounds):
                for spec in self._order(number):
                    # The speed of a machine drifts, and Keylike is compared with the baseline.
                    # Measuring the baseline just before and after Keylike reduces the error.
                    if spec.name == KEYLIKE:
                        baselines += self._measure_baseline(number, baseline)
                    measurements += self._measure_server(number, spec)
                    if spec.name == KEYLIKE:
                        baselines += self._measure_baseline(number, baseline)
            single_client = self._single_client(baseline)
        results = ComparisonResults(
            self._run_info(command), measurements, baselines, {}, single_client
        )
        for spec in self._servers_to_overload(results):
            results.overloads[spec.name] = self._measure_overload(spec, results)
        return results

    def _order(self, number: int) -> list[ServerSpec]:
        """Return the servers in the order of one round. The first server differs between rounds."""
        first = number * len(self.specs) // self.rounds
        return [*self.specs[first:], *self.specs[:first]]

    def _measure_server(self, number: int, spec: ServerSpec) -> list[Measurement]:
        # One stream per size while the server runs, so that it never gets the same bytes twice.
        rows = []
        photos = {size: PhotoStream(samples).__next__ for size, samples in self.photos.items()}
        with run_server(spec, photos[CAPTURES], self.work) as server:
            for size, photo in photos.items():
                measure_clients(server, photo, _WARM_CLIENTS, min(_WARM_S, self.seconds))
                for clients in CONCURRENCY:
                    figures = measure_clients(server, photo, clients, self.seconds)
                    rows.append(Measurement(number, spec.name, size, figures))
                    self.report(
                        f"round {number + 1}: {spec.name}, {size}, {clients} clients: "
                        f"{figures.per_s:.1f}/s {figures.errors or ''}"
                    )
        return rows

    def _measure_baseline(self, number: int, baseline: Baseline) -> list[BaselineResult]:
        baselines = []
        for size in self.photos:
            runs = baseline.all_cores(size, self.seconds)
            baselines.append(combine(number, size, runs))
            self.report(f"round {number + 1}: no server, {size}: {baselines[-1].per_s:.1f}/s")
        return baselines

    def _single_client(self, baseline: Baseline) -> SingleClientResult:
        """Measure a single client and the baseline alternately.

        The speed of a machine drifts, so the turns are short: each reads every photo once.
        """
        keylike = self.specs[0]
        http_ms: list[float] = []
        baseline_ms: list[float] = []
        samples = self.photos[CAPTURES]
        stream = PhotoStream(samples)
        with run_server(keylike, stream.__next__, self.work) as server:
            measure_clients(server, stream.__next__, _WARM_CLIENTS, min(_WARM_S, self.seconds))
            for _ in range(math.ceil(_TURNS * self.seconds)):
                http_ms += measure_single_client(server, [next(stream) for _ in samples])
                baseline_ms += [1e3 * seconds for seconds in baseline.each_once(CAPTURES)]
        return SingleClientResult(http_ms, baseline_ms)

    def _servers_to_overload(self, results: ComparisonResults) -> list[ServerSpec]:
        """Return Keylike and the fastest other server, except the older guide's server."""
        fastest = max(
            results.peer_names(),
            key=lambda name: (
                results.median(name, CAPTURES, CLIENTS, lambda figures: figures.per_s) or 0.0
            ),
        )
        return [spec for spec in self.specs if spec.name in (KEYLIKE, fastest)]

    def _measure_overload(self, spec: ServerSpec, results: ComparisonResults) -> OverloadFigures:
        stream = PhotoStream(self.photos[CAPTURES])
        clients = max(
            CONCURRENCY,
            key=lambda clients: (
                results.median(spec.name, CAPTURES, clients, lambda figures: figures.per_s) or 0.0
            ),
        )
        with run_server(spec, stream.__next__, self.work) as server:
            measure_clients(server, stream.__next__, _WARM_CLIENTS, min(_WARM_S, self.seconds))
            length = _OVERLOAD_LENGTH * self.seconds
            figures = measure_overload(
                server,
                stream.__next__,
                clients,
                factor=_OVERLOAD_FACTOR,
                peak_s=self.seconds,
                seconds=length,
            )
        self.report(
            f"overload: {spec.name}: {figures.accepted_per_s:.1f}/s of {figures.peak_per_s:.1f}/s, "
            f"{figures.refused} of {figures.sent} refused"
        )
        return figures

    def _run_info(self, command: str) -> RunInfo:
        return RunInfo(
            machine=machine(
                Path("/proc/cpuinfo").read_text(),
                os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            ),
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
            command=command,
            seconds=self.seconds,
            rounds=self.rounds,
            versions={spec.name: spec.version() for spec in self.specs},
            setup={spec.name: spec.setup for spec in self.specs},
        )


def combine(number: int, size: str, runs: Sequence[BaselineRun]) -> BaselineResult:
    """Return the combined throughput and processor time of the baseline's processes."""
    count = sum(run.photos for run in runs)
    return BaselineResult(
        number,
        size,
        sum(run.photos / run.seconds for run in runs),
        1e3 * sum(run.cpu_s for run in runs) / count,
    )


def machine(cpuinfo: str, memory: int) -> str:
    """Describe the machine: cores, processor model, memory, Linux and Python versions."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in cpuinfo.splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    kernel = platform.release().split("-")[0]
    return (
        f"{CORES} cores of {model}, {memory / 2**30:.0f} GiB, Linux {kernel}, "
        f"Python {platform.python_version()}"
    )
