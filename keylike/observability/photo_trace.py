"""Where the time of one photo goes: its stages as they pass, and what became of it, for those who count, chart or trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

from keylike.errors import KeylikeError, UnreadableKey

Stage = Literal["decode", "queue", "model", "assess"]
# `refused`: a failure with a name, of the photo or of its caller's time; `crashed`: one that nobody has a name for.
Outcome = Literal["read", "unreadable", "refused", "crashed"]
STAGES: tuple[Stage, ...] = ("decode", "queue", "model", "assess")
OUTCOMES: tuple[Outcome, ...] = ("read", "unreadable", "refused", "crashed")


class StageTiming(NamedTuple):
    """From when to when a photo was in a stage, in seconds of the clock that all of its spells go by."""

    stage: Stage
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class PhotoTrace:
    """One photo's whole way, and nothing of what was read on it.

    `spells` in order: a photo queues twice, for a turn to be decoded and for the model; one whose reading was at hand has none of either.
    `confidence` of what was read, `reason` of what was unreadable; None otherwise.
    """

    began: float
    ended: float
    timings: tuple[StageTiming, ...]
    outcome: Outcome
    cached: bool
    confidence: float | None
    reason: str | None

    def seconds(self) -> dict[Stage, float]:
        """The time in each stage that there was."""
        spent: dict[Stage, float] = {}
        for stage, began, ended in self.timings:
            spent[stage] = spent.get(stage, 0.0) + ended - began
        return spent


TraceListener = Callable[[PhotoTrace], None]


class TraceBuilder:
    """What is written down about a photo on its way; `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.began = clock()
        self.timings: list[StageTiming] = []
        self.cached = False
        self.confidence: float | None = None

    def add(self, timings: Iterable[StageTiming]) -> None:
        """What somebody else has timed."""
        self.timings.extend(timings)

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Times what runs inside, also where it fails."""
        began = self.clock()
        try:
            yield
        finally:
            self.timings.append(StageTiming(stage, began, self.clock()))

    def build(self, outcome: Outcome, reason: str | None = None) -> PhotoTrace:
        """All of it, now that the way is over."""
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
    """Notes for one photo, which all `watchers` are told at the end, whatever that is."""
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
