"""One photo on its way to the reader: who asked for it, how far it is, and when it got there."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise

from keylike.errors import (
    RETRY_AFTER_S,
    ClientGone,
    DeadlineExceeded,
    KeylikeError,
    ModelLoading,
)
from keylike.images.photo import Photo
from keylike.observability.photo_trace import Stage, StageTiming, TraceBuilder
from keylike.readers.contract import Reading, Unreadable

Result = Reading | Unreadable


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks. `name` tells callers apart, is opaque and never logged; after `deadline`, seconds on the scheduler's clock, and once
    they `hung_up`, the answer is of no use. `hung_up` is asked often and must not wait."""

    name: str = field(default="", repr=False)
    deadline: float = math.inf
    hung_up: Callable[[], bool] = field(default=lambda: False, repr=False)

    def lost(self, now: float) -> KeylikeError | None:
        """Why nobody wants the answer any more, or None."""
        if self.hung_up():
            return ClientGone("The caller hung up before the answer was there.")
        if now >= self.deadline:
            return DeadlineExceeded(
                "The photo could not be read in the time that the request may take."
            )
        return None


class Step(IntEnum):
    """How far a photo is."""

    WAITS, DECODES, DECODED, READ, DONE = range(5)


# What a photo spends its time on after each step.
_AFTER: dict[Step, Stage] = {
    Step.WAITS: "queue",
    Step.DECODES: "decode",
    Step.DECODED: "queue",
    Step.READ: "model",
}


class Job:
    """One photo on its way; `bell` rings whenever its stage changes, `clock` counts seconds. Safe under `lock` alone."""

    def __init__(self, client: Client, lock: threading.Lock, clock: Callable[[], float]) -> None:
        self.client, self.bell = client, threading.Condition(lock)
        self.stage = Step.WAITS
        self.photo: Photo | None = None
        self.outcome: Result | Exception | None = None
        self._clock = clock
        self.since = clock()
        self._times = {Step.WAITS: self.since}

    def move(self, stage: Step) -> None:
        """Takes it a step further."""
        self.stage = stage
        self.stamp()
        self.bell.notify()

    def stamp(self) -> None:
        """It is only now that the step begins."""
        self._times[self.stage] = self._clock()

    def was_read(self, seconds: float) -> None:
        """The last so many seconds of its turn went to reading; takes the lock."""
        with self.bell:
            self.stage = Step.READ
            self._times[Step.READ] = self._clock() - seconds

    def end(self, outcome: Result | Exception) -> None:
        """It is done with."""
        self.photo, self.outcome = None, outcome
        self.move(Step.DONE)

    def timings(self) -> list[StageTiming]:
        """What its time went to, in order, up to its end or up to now."""
        times = [*self._times.items()]
        if self.stage is not Step.DONE:
            times.append((Step.DONE, self._clock()))
        return [
            StageTiming(_AFTER[step], began, ended) for (step, began), (_, ended) in pairwise(times)
        ]

    def record_timings(self, notes: TraceBuilder | None) -> None:
        """Writes them down, if anybody does; takes the lock."""
        if notes:
            with self.bell:
                notes.add(self.timings())

    def result(self) -> Result:
        """What the reader made of it; raises what it raised."""
        # Taken out of the job: it would hold its error, whose traceback holds the job.
        outcome, self.outcome = self.outcome, None
        if isinstance(outcome, Reading | Unreadable):
            return outcome
        try:
            raise outcome or closing()
        finally:
            del outcome


def closing() -> ModelLoading:
    """What callers are told who come too late."""
    return ModelLoading("The server is shutting down.", retry_after_s=RETRY_AFTER_S)
