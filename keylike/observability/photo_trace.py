"""Record the timings and the outcome of one photo, for metrics, statistics and traces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

from keylike.errors import KeylikeError, UnreadableKey

Stage = Literal["decode", "queue", "model", "assess"]
# "refused" is an expected failure, such as a bad photo or a missed deadline. "crashed" is an
# unexpected one.
Outcome = Literal["read", "unreadable", "refused", "crashed"]
STAGES: tuple[Stage, ...] = ("decode", "queue", "model", "assess")
OUTCOMES: tuple[Outcome, ...] = ("read", "unreadable", "refused", "crashed")


class StageTiming(NamedTuple):
    """The start and end of a stage, in seconds of the trace's clock."""

    stage: Stage
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class PhotoTrace:
    """The timings and the outcome of one photo. It does not contain the reading.

    Attributes:
        began: start, in seconds of the trace's clock.
        ended: end, in seconds of the trace's clock.
        timings: the stages in order. The stage "queue" occurs twice, before decoding and before the
            model. If the reading was cached, none of the stages up to the model occurs.
        outcome: what happened to the photo.
        cached: True if the reading was computed for another request.
        confidence: confidence of a reading, otherwise None.
        reason: reason of an unreadable photo, otherwise None.
    """

    began: float
    ended: float
    timings: tuple[StageTiming, ...]
    outcome: Outcome
    cached: bool
    confidence: float | None
    reason: str | None

    def seconds(self) -> dict[Stage, float]:
        """Return the seconds spent in each stage. Stages that did not occur are missing."""
        spent: dict[Stage, float] = {}
        for stage, began, ended in self.timings:
            spent[stage] = spent.get(stage, 0.0) + ended - began
        return spent


TraceListener = Callable[[PhotoTrace], None]


class TraceBuilder:
    """A recorder of the timings of one photo. `clock` returns monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.began = clock()
        self.timings: list[StageTiming] = []
        self.cached = False
        self.confidence: float | None = None

    def add(self, timings: Iterable[StageTiming]) -> None:
        """Add timings that another component measured."""
        self.timings.extend(timings)

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Measure the time of the `with` block, even if it raises an exception."""
        began = self.clock()
        try:
            yield
        finally:
            self.timings.append(StageTiming(stage, began, self.clock()))

    def build(self, outcome: Outcome, reason: str | None = None) -> PhotoTrace:
        """Return the finished trace."""
        return PhotoTrace(
            self.began,
            self.clock(),
            tuple(self.timings),
            outcome,
            self.cached,
            self.confidence,
            reason,
        )


@contextmanager
def traced(
    clock: Callable[[], float], listeners: Sequence[TraceListener]
) -> Iterator[TraceBuilder]:
    """Record one photo in a `with` block, and then call all listeners with its trace.

    The listeners are called even if the block raises an exception.
    """
    builder = TraceBuilder(clock)
    outcome: Outcome = "crashed"
    reason = None
    try:
        yield builder
        outcome = "read"
    except UnreadableKey as refusal:
        outcome, reason = "unreadable", refusal.reason
        raise
    except KeylikeError:
        outcome = "refused"
        raise
    finally:
        trace = builder.build(outcome, reason)
        for listener in listeners:
            listener(trace)
