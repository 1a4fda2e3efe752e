"""The callers of the storm: processes that each send every so-manieth case, and tell what came of it."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.queues import Queue

from tools.fuzzing.hostile_load.cases import Cases
from tools.fuzzing.hostile_load.verdict import faults
from tools.fuzzing.hostile_load.wire import exchange

# So many cases are told of at once.
_TOLD = 50


@dataclass(slots=True)
class Tally:
    """What came of some cases. `slowest` is seconds and the case's number; `failures` are number, kind of case, and what was wrong."""

    cases: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int] = (0.0, -1)
    failures: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Takes in another's."""
        self.cases += other.cases
        self.statuses += other.statuses
        self.kinds += other.kinds
        self.slowest = max(self.slowest, other.slowest)
        self.failures += other.failures


def sent(address: tuple[str, int], cases: Cases, number: int, patience_s: float) -> Tally:
    """Sends one case."""
    case = cases.case(number)
    outcome = exchange(address, case, patience_s)
    found = faults(case, outcome)
    statuses = Counter(str(answer.status) for answer in outcome.answers) or Counter(["none"])
    return Tally(
        1,
        statuses,
        Counter([case.kind]),
        (outcome.took_s, number),
        [(number, case.kind, fault) for fault in found],
    )


def storm(
    address: tuple[str, int], cases: Cases, count: int, callers: int, patience_s: float
) -> Iterator[Tally]:
    """Sends cases 0 to `count`, and tells again and again what came of the last few. Ends when all are told of."""
    context = multiprocessing.get_context("spawn")
    told: Queue[Tally] = context.Queue()
    started = [
        context.Process(
            target=_call,
            args=(address, cases, range(first, count, callers), patience_s, told),
            daemon=True,
        )
        for first in range(min(callers, count))
    ]
    for process in started:
        process.start()
    left = count
    while left:
        tally = told.get()
        left -= tally.cases
        yield tally
    for process in started:
        process.join()


def _call(
    address: tuple[str, int], cases: Cases, numbers: range, patience_s: float, told: Queue[Tally]
) -> None:
    tally = Tally()
    for number in numbers:
        tally.add(sent(address, cases, number, patience_s))
        if tally.cases == _TOLD or number == numbers[-1]:
            told.put(tally)
            tally = Tally()
