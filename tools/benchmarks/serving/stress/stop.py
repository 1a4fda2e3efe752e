"""SIGTERM while sixteen callers send photos as fast as they can: who is answered, who is not, and how long the stop takes."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tools.benchmarks.serving.photos import Stream
from tools.benchmarks.serving.stress.contract import Outcome, Terms
from tools.benchmarks.serving.stress.server import Server
from tools.benchmarks.serving.stress.wire import Answer, Torn, Wire, head

_CALLERS = 16
_BEFORE_S = 3.0
# Sixteen photos are read in one or two seconds; a stop that goes on for longer takes on new work.
_PROMPT_S = 10.0
# In flight at the second signal: on two cores, seconds of work.
_MANY = 48
_AT_ONCE_S = 2.0
_TIMES = 5
_STATUS = 128 + signal.SIGTERM


class Fate(StrEnum):
    """What became of a request."""

    READ = "read"  # 200
    TOLD = "told_when_to_come_back"  # 503 with Retry-After
    OTHER = "other_status"
    LOST = "lost"  # handed over as a whole before the stop, and not answered
    CUT = "cut"  # begun before the stop, and broken off
    TORN = "torn"  # its answer ended in the middle
    LATE = "late"  # begun after the stop, on a connection that the server closed: HTTP allows it, and callers send it again


_FAULTS = (Fate.OTHER, Fate.LOST, Fate.CUT, Fate.TORN)


@dataclass(slots=True)
class Sent:
    """A request: when its first byte was handed over, and its last; None where it did not get that far. Seconds of one clock."""

    began: float
    whole: float | None = None

    def fate(self, answer: Answer | None, stopped: float) -> Fate:
        """`answer` is None where there was none; `stopped` is when the signal was sent."""
        if answer is not None:
            told = answer.status == 503 and answer.retry_after
            return Fate.READ if answer.status == 200 else Fate.TOLD if told else Fate.OTHER
        if self.whole is not None and self.whole < stopped:
            return Fate.LOST
        return Fate.CUT if self.began < stopped else Fate.LATE


@dataclass(slots=True)
class Callers:
    """Those who send, and what became of what they sent; `stopped` once the signal was sent."""

    port: int
    photos: Stream
    stopped: float = float("inf")
    before: Counter[Fate] = field(default_factory=Counter)
    after: Counter[Fate] = field(default_factory=Counter)

    async def send(self) -> None:
        """One caller, who keeps the connection as long as the server does and calls again until nobody listens."""
        wire: Wire | None = None
        while True:
            try:
                wire = wire or await Wire.connect(self.port)
            except OSError:
                return
            if not await self._ask(wire):
                wire.close()
                wire = None

    async def _ask(self, wire: Wire) -> bool:
        """Whether the connection can be used again."""
        photo, sent, answer = next(self.photos), Sent(time.monotonic()), None
        with suppress(ConnectionError):  # an answer may have come all the same
            await wire.send(head(len(photo)))
            await wire.send(photo)
            sent.whole = time.monotonic()
        try:
            answer = await wire.answer()
            fate = sent.fate(answer, self.stopped)
        except Torn:
            fate = Fate.TORN
        (self.before if time.monotonic() < self.stopped else self.after)[fate] += 1
        return answer is not None and not answer.closes


async def _under_load(server: Server, photos: Stream) -> dict[str, Any]:
    callers = Callers(server.port, photos)
    sending = [asyncio.create_task(callers.send()) for _ in range(_CALLERS)]
    await asyncio.sleep(_BEFORE_S)
    callers.stopped = time.monotonic()
    server.signal()
    status = await asyncio.to_thread(server.ended)
    took = time.monotonic() - callers.stopped
    await asyncio.gather(*sending)
    return {
        "stop_s": took,
        "exit_status": status,
        "before": dict(callers.before),
        "after": dict(callers.after),
        "faults": sum((callers.before + callers.after)[fate] for fate in _FAULTS),
    }


async def _twice(server: Server, photos: Stream) -> dict[str, Any]:
    """Two signals, and work for longer than the second may take."""
    wires = [await Wire.connect(server.port) for _ in range(_MANY)]
    for wire in wires:
        photo = next(photos)
        await wire.send(head(len(photo)) + photo)
    server.signal()
    await asyncio.sleep(0.2)
    in_flight = server.process.poll() is None
    began = time.monotonic()
    server.signal()
    status = await asyncio.to_thread(server.ended)
    took = time.monotonic() - began
    for wire in wires:
        wire.close()
    return {"in_flight": in_flight, "stop_s": took, "exit_status": status}


def stop(terms: Terms) -> Outcome:
    """Captures, photos of 12 megapixels, and a second signal, which comes several times: what it falls into is chance."""
    figures: dict[str, Any] = {}
    targets: dict[str, bool] = {}
    for size in ("640x480", "12 MP"):
        with Server(terms.work / "stop") as server:
            figures[size] = found = asyncio.run(
                _under_load(server, Stream(list(terms.photos(size))))
            )
        targets[f"{size}: every accepted request is answered"] = found["faults"] == 0
        targets[f"{size}: ends with status 0"] = found["exit_status"] == 0
        targets[f"{size}: ends within {_PROMPT_S:g} s"] = found["stop_s"] <= _PROMPT_S
    figures["second signal"] = times = []
    for _ in range(_TIMES):
        with Server(terms.work / "stop") as server:
            times.append(asyncio.run(_twice(server, Stream(list(terms.photos("12 MP"))))))
    targets["a second signal ends it at once"] = all(
        one["in_flight"] and one["stop_s"] <= _AT_ONCE_S for one in times
    )
    targets[f"a second signal ends it with status {_STATUS}"] = all(
        one["exit_status"] == _STATUS for one in times
    )
    return Outcome(figures, targets)
