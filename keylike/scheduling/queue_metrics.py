"""How busy the way to the reader is: what waits, what is read, and in what batches."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoadSnapshot:
    """A moment of the queue. `waiting` photos wait, the oldest for `oldest_s` seconds, where `room` may; `decoding` are decoded, `reading`
    are with the reader, the longest for `reading_s`. Since the start it was asked for `batches`, by their size, and took `model_s`."""

    waiting: int
    oldest_s: float
    room: int
    decoding: int
    reading: int
    reading_s: float
    batches: Mapping[int, int]
    model_s: float


class LoadMeter:
    """Times what the reader is asked, from any of its threads; `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._under_way: dict[int, tuple[int, float]] = {}
        self._batches: Counter[int] = Counter()
        self._model_s = 0.0

    @contextmanager
    def batch(self, photos: int) -> Iterator[None]:
        """Around the reading of so many photos in one go."""
        thread, began = threading.get_ident(), self._clock()
        with self._lock:
            self._under_way[thread] = photos, began
        try:
            yield
        finally:
            with self._lock:
                del self._under_way[thread]
                self._batches[photos] += 1
                self._model_s += self._clock() - began

    def stuck(self, threads: int, longest_s: float) -> bool:
        """Whether so many threads each have had their batch for longer than that."""
        now = self._clock()
        with self._lock:
            return sum(now - began > longest_s for _, began in self._under_way.values()) >= threads

    def load(
        self, waits: list[float], *, room: int, decoding: int, apart: bool = False
    ) -> LoadSnapshot:
        """All of it now; `waits` are the times since when each of the waiting waits. `apart`: what is read is among what is decoded."""
        now = self._clock()
        with self._lock:
            under_way = [*self._under_way.values()]
            batches, model_s = dict(self._batches), self._model_s
        reading = sum(photos for photos, _ in under_way)
        return LoadSnapshot(
            waiting=len(waits),
            oldest_s=max((now - since for since in waits), default=0.0),
            room=room,
            decoding=max(0, decoding - reading) if apart else decoding,
            reading=reading,
            reading_s=max((now - began for _, began in under_way), default=0.0),
            batches=batches,
            model_s=model_s,
        )
