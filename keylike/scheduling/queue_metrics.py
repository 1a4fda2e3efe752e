"""Measure the queue and the reader: waiting photos, photos being read, and batches."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoadSnapshot:
    """The state of the queue at one moment.

    Attributes:
        waiting: Number of photos that wait for their turn or for the reader.
        oldest_s: Seconds that the oldest of them has waited.
        room: Largest number of photos that may wait.
        decoding: Number of photos that are being decoded.
        reading: Number of photos that the reader is processing.
        reading_s: Seconds that the reader's oldest batch has taken so far.
        batches: Number of batches since the start, by number of photos.
        model_s: Seconds that the reader took for these batches, summed over its threads.
    """

    waiting: int
    oldest_s: float
    room: int
    decoding: int
    reading: int
    reading_s: float
    batches: Mapping[int, int]
    model_s: float


class LoadMeter:
    """A thread-safe meter of the batches of a reader.

    Args:
        clock: Returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._threads = 0
        self._under_way: dict[int, tuple[int, float]] = {}
        self._batches: Counter[int] = Counter()
        self._model_s = 0.0

    def thread_started(self) -> None:
        """Count one more reader thread."""
        with self._lock:
            self._threads += 1

    def thread_ended(self) -> None:
        """Count one fewer reader thread."""
        with self._lock:
            self._threads -= 1

    @contextmanager
    def batch(self, photos: int) -> Iterator[None]:
        """Measure the time of one batch, which is read in the `with` block."""
        thread = threading.get_ident()
        began = self._clock()
        with self._lock:
            self._under_way[thread] = photos, began
        try:
            yield
        finally:
            with self._lock:
                del self._under_way[thread]
                self._batches[photos] += 1
                self._model_s += self._clock() - began

    def stuck(self, longest_s: float) -> bool:
        """Return True if every thread has been busy with its batch for over `longest_s` seconds."""
        now = self._clock()
        with self._lock:
            overdue = sum(now - began > longest_s for _, began in self._under_way.values())
            return 0 < self._threads <= overdue

    def snapshot(self, waiting_since: Sequence[float], *, room: int, decoding: int) -> LoadSnapshot:
        """Return the current state.

        Args:
            waiting_since: Arrival time of each waiting photo, in seconds of the meter's clock.
            room: Largest number of photos that may wait.
            decoding: Number of photos that are being decoded.
        """
        now = self._clock()
        with self._lock:
            under_way = [*self._under_way.values()]
            batches = dict(self._batches)
            model_s = self._model_s
        return LoadSnapshot(
            waiting=len(waiting_since),
            oldest_s=max((now - since for since in waiting_since), default=0.0),
            room=room,
            decoding=decoding,
            reading=sum(photos for photos, _ in under_way),
            reading_s=max((now - began for _, began in under_way), default=0.0),
            batches=batches,
            model_s=model_s,
        )
