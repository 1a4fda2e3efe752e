"""The race itself: rounds in which every contender is started, measured and stopped, the loop beside them; then the overload."""

from __future__ import annotations

import datetime
import math
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.benchmarks.serving.figures import Overload
from tools.benchmarks.serving.loop import Loop, Turn
from tools.benchmarks.serving.measure import for_callers, one_caller, overloaded
from tools.benchmarks.serving.peers.work import CORES
from tools.benchmarks.serving.photos import Stream
from tools.benchmarks.serving.results import About, Alone, Limit, Measured, Race
from tools.benchmarks.serving.running import running
from tools.benchmarks.serving.servers import KEYLIKE, Contender
from tools.benchmarks.serving.targets import CALLERS, CAPTURES

CONCURRENCY = (1, 4, 16, 64)
_WARM_CALLERS, _WARM_S = 4, 2.0
# Three times the capacity, for so many times as long as another measurement.
_OVERLOAD_TIMES, _OVERLOAD_LENGTH = 3.0, 2.5
# How often one caller and the loop take turns for each second of a measurement.
_TURNS = 4


@dataclass(frozen=True)
class Course:
    """What is run: the contenders, Keylike first, the photos of each size, seconds a measurement, and how often all of it."""

    contenders: Sequence[Contender]
    made: Mapping[str, Sequence[bytes]]
    seconds: float
    rounds: int
    work: Path
    tell: Callable[[str], None]

    def run(self, command: str) -> Race:
        """The whole race."""
        measured: list[Measured] = []
        limits: list[Limit] = []
        with Loop(CORES, self.made) as loop:
            for number in range(self.rounds):
                for contender in self._order(number):
                    turns = [self._limits(number, loop)] if contender.name == KEYLIKE else []
                    measured += self._contender(number, contender)
                    turns += [self._limits(number, loop)] if contender.name == KEYLIKE else []
                    limits += [limit for turn in turns for limit in turn]
            alone = self._alone(loop)
        race = Race(self._about(command), measured, limits, {}, alone)
        for contender in self._overloaded(race):
            race.overloads[contender.name] = self._overload(contender, race)
        return race

    def _order(self, number: int) -> list[Contender]:
        """Everybody's turn comes earlier in some rounds and later in others."""
        first = number * len(self.contenders) // self.rounds
        return [*self.contenders[first:], *self.contenders[:first]]

    def _contender(self, number: int, contender: Contender) -> list[Measured]:
        # One stream of a size for as long as a server runs: it must see no photo twice.
        rows, photos = [], {size: Stream(made).__next__ for size, made in self.made.items()}
        with running(contender, photos[CAPTURES], self.work) as server:
            for size, photo in photos.items():
                for_callers(server, photo, _WARM_CALLERS, min(_WARM_S, self.seconds))
                for callers in CONCURRENCY:
                    got = for_callers(server, photo, callers, self.seconds)
                    rows.append(Measured(number, contender.name, size, got))
                    self.tell(
                        f"round {number + 1}: {contender.name}, {size}, {callers} callers: {got.per_s:.1f}/s {got.errors or ''}"
                    )
        return rows

    def _limits(self, number: int, loop: Loop) -> list[Limit]:
        limits = []
        for size in self.made:
            turns = loop.all_cores(size, self.seconds)
            limits.append(limit(number, size, turns))
            self.tell(f"round {number + 1}: no server, {size}: {limits[-1].per_s:.1f}/s")
        return limits

    def _alone(self, loop: Loop) -> Alone:
        """In short turns, each photo once in each, since a machine is not equally fast for long."""
        keylike, http, without = self.contenders[0], list[float](), list[float]()
        made = self.made[CAPTURES]
        stream = Stream(made)
        with running(keylike, stream.__next__, self.work) as server:
            for_callers(server, stream.__next__, _WARM_CALLERS, min(_WARM_S, self.seconds))
            for _ in range(math.ceil(_TURNS * self.seconds)):
                http += one_caller(server, [next(stream) for _ in made])
                without += [1e3 * seconds for seconds in loop.each_once(CAPTURES)]
        return Alone(http, without)

    def _overloaded(self, race: Race) -> list[Contender]:
        """Keylike and the fastest of its peers."""
        fastest = max(
            race.peers(),
            key=lambda name: race.median(name, CAPTURES, CALLERS, lambda got: got.per_s) or 0.0,
        )
        return [contender for contender in self.contenders if contender.name in (KEYLIKE, fastest)]

    def _overload(self, contender: Contender, race: Race) -> Overload:
        stream = Stream(self.made[CAPTURES])
        callers = max(
            CONCURRENCY,
            key=lambda many: (
                race.median(contender.name, CAPTURES, many, lambda got: got.per_s) or 0.0
            ),
        )
        with running(contender, stream.__next__, self.work) as server:
            for_callers(server, stream.__next__, _WARM_CALLERS, min(_WARM_S, self.seconds))
            length = _OVERLOAD_LENGTH * self.seconds
            got = overloaded(
                server,
                stream.__next__,
                callers,
                times=_OVERLOAD_TIMES,
                peak_s=self.seconds,
                seconds=length,
            )
        self.tell(
            f"overload: {contender.name}: {got.accepted_per_s:.1f}/s of {got.peak_per_s:.1f}/s, {got.refused} of {got.sent} refused"
        )
        return got

    def _about(self, command: str) -> About:
        return About(
            machine=machine(
                Path("/proc/cpuinfo").read_text(),
                os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            ),
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
            command=command,
            seconds=self.seconds,
            rounds=self.rounds,
            versions={contender.name: contender.version() for contender in self.contenders},
            how={contender.name: contender.how for contender in self.contenders},
        )


def limit(number: int, size: str, turns: Sequence[Turn]) -> Limit:
    """What the processes did together."""
    count = sum(turn.photos for turn in turns)
    return Limit(
        number,
        size,
        sum(turn.photos / turn.seconds for turn in turns),
        1e3 * sum(turn.cpu_s for turn in turns) / count,
    )


def machine(cpuinfo: str, memory: int) -> str:
    """In words: cores, their make, memory and Python."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in cpuinfo.splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return f"{CORES} cores of {model}, {memory / 2**30:.0f} GiB, Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"
