"""Runs client processes. They divide the cases between them and report the results."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.queues import Queue

from tools.fuzzing.hostile_load.cases import Cases
from tools.fuzzing.hostile_load.exchange import exchange
from tools.fuzzing.hostile_load.violations import violations

# Number of cases in one report of a client process.
_REPORT_SIZE = 50


@dataclass(slots=True)
class Summary:
    """Results of a number of cases.

    Attributes:
        cases: Number of cases.
        statuses: Number of responses by status.
        kinds: Number of cases by kind.
        slowest: Seconds and number of the case that took longest.
        failures: Case number, kind of case, and violation of each failure.
    """

    cases: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int] = (0.0, -1)
    failures: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, other: Summary) -> None:
        """Add the results of another summary."""
        self.cases += other.cases
        self.statuses += other.statuses
        self.kinds += other.kinds
        self.slowest = max(self.slowest, other.slowest)
        self.failures += other.failures


def send_case(address: tuple[str, int], cases: Cases, number: int, timeout_s: float) -> Summary:
    """Send one case and return its results."""
    case = cases.case(number)
    outcome = exchange(address, case, timeout_s)
    found = violations(case, outcome)
    statuses = Counter(str(answer.status) for answer in outcome.responses) or Counter(["none"])
    return Summary(
        1,
        statuses,
        Counter([case.kind]),
        (outcome.seconds, number),
        [(number, case.kind, fault) for fault in found],
    )


def send_all(
    address: tuple[str, int], cases: Cases, count: int, clients: int, timeout_s: float
) -> Iterator[Summary]:
    """Send the cases 0 to `count` - 1 from several processes, and yield their reports."""
    context = multiprocessing.get_context("spawn")
    reports: Queue[Summary] = context.Queue()
    processes = [
        context.Process(
            target=_run_client,
            args=(address, cases, range(first, count, clients), timeout_s, reports),
            daemon=True,
        )
        for first in range(min(clients, count))
    ]
    for process in processes:
        process.start()
    remaining = count
    while remaining:
        part = reports.get()
        remaining -= part.cases
        yield part
    for process in processes:
        process.join()


def _run_client(
    address: tuple[str, int],
    cases: Cases,
    numbers: range,
    timeout_s: float,
    reports: Queue[Summary],
) -> None:
    part = Summary()
    for number in numbers:
        part.add(send_case(address, cases, number, timeout_s))
        if part.cases == _REPORT_SIZE or number == numbers[-1]:
            reports.put(part)
            part = Summary()
