"""Statistics of the last few minutes, in limited memory: time per stage, and failed requests."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from keylike.observability.metrics import RequestRecord
from keylike.observability.photo_trace import STAGES, PhotoTrace

WHOLE = "whole"
_SLOTS = 30


@dataclass(frozen=True, slots=True)
class Summary:
    """Statistics of `count` durations, in seconds. Percentiles are by the nearest rank."""

    count: int
    min: float
    mean: float
    p50: float
    p95: float
    p99: float


class RecentStages:
    """Durations of recent photos in each stage and in total.

    It covers at most the last `size` photos of the last `window_s` seconds.
    """

    def __init__(
        self, clock: Callable[[], float], *, window_s: float = 300.0, size: int = 1000
    ) -> None:
        self.window_s = window_s
        self._clock = clock
        self._lock = threading.Lock()
        names: tuple[str, ...] = (*STAGES, WHOLE)
        self._times: dict[str, deque[tuple[float, float]]] = {
            name: deque(maxlen=size) for name in names
        }

    def record_photo(self, trace: PhotoTrace) -> None:
        """Record a finished photo."""
        now = self._clock()
        with self._lock:
            self._times[WHOLE].append((now, trace.ended - trace.began))
            for stage, seconds in trace.seconds().items():
                self._times[stage].append((now, seconds))

    def summaries(self) -> dict[str, Summary | None]:
        """Return the statistics of each stage and of the total, or None if there are no photos."""
        now = self._clock()
        with self._lock:
            kept = {
                stage: [seconds for at, seconds in times if now - self.window_s < at <= now]
                for stage, times in self._times.items()
            }
        return {stage: _summary(sorted(times)) for stage, times in kept.items()}


class RecentErrors:
    """The numbers of requests and of server failures in the last `window_s` seconds.

    The window is divided into thirty time slots with one count each. The oldest slot is dropped as
    a whole.
    """

    def __init__(self, clock: Callable[[], float], *, window_s: float = 300.0) -> None:
        self.window_s = window_s
        self._clock = clock
        self._slot_s = window_s / _SLOTS
        self._lock = threading.Lock()
        self._slots: dict[int, tuple[int, int]] = {}

    def record_request(self, request: RequestRecord) -> None:
        """Record an answered request."""
        with self._lock:
            slot = self._now()
            requests, failures = self._slots.get(slot, (0, 0))
            self._slots[slot] = requests + 1, failures + request.crashed

    def counts(self) -> tuple[int, int]:
        """Return the number of requests, and the number of those that failed in the server."""
        with self._lock:
            self._now()
            return sum(requests for requests, _ in self._slots.values()), sum(
                failures for _, failures in self._slots.values()
            )

    def _now(self) -> int:
        """Return the number of the current slot, and drop slots outside the window.

        Slots in the future are dropped too. They exist if the clock was set back.
        """
        now = int(self._clock() // self._slot_s)
        for slot in [slot for slot in self._slots if not now - _SLOTS < slot <= now]:
            del self._slots[slot]
        return now


def _summary(times: list[float]) -> Summary | None:
    if not times:
        return None

    def rank(share: float) -> float:
        return times[math.ceil(share * len(times)) - 1]

    return Summary(
        len(times), times[0], math.fsum(times) / len(times), rank(0.5), rank(0.95), rank(0.99)
    )
