"""How many photos are let in at a time, and when those who are not let in may come back."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from keylike.errors import Overloaded

# The rate is that of about so many photos: enough to even out batches, few enough to follow a model that slows down.
_MEMORY = 16


class Permit:
    """Places of one request: `one` uses one of them up, and the rest go back when the request is over."""

    def __init__(self, leave: Callable[[int], None], photos: int) -> None:
        self._leave, self._left = leave, photos
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Gives its place back at the end, whatever the photo came to."""
        try:
            yield
        finally:
            with self._lock:
                self._left -= 1
            self._leave(1)

    def give_back(self) -> None:
        """Gives back what nobody used."""
        with self._lock:
            rest, self._left = self._left, 0
        self._leave(rest)


class AdmissionControl:
    """Counts the photos inside. `longest_s`: what a request may take, so nobody is told to come back later than that; `clock` counts
    seconds."""

    def __init__(self, longest_s: float, clock: Callable[[], float]) -> None:
        self._longest_s, self._clock = longest_s, clock
        self._lock = threading.Lock()
        self._inside = 0
        self._since = 0.0  # when a photo last left, or the first came in
        self._pace_s: float | None = None

    def full(self, room: int) -> int | None:
        """After how many seconds to come back where another photo would not be let in, otherwise None."""
        with self._lock:
            return self._retry_after_s() if self._inside >= room else None

    @contextmanager
    def admit(self, photos: int, room: int) -> Iterator[Permit]:
        """Places for all photos of a request, among `room`. Raises Overloaded where they are not free; a request that is larger than
        the whole room comes in where nobody else is, unless there is none."""
        with self._lock:
            if self._inside + photos > room and (self._inside or not room):
                raise Overloaded(
                    "More photos wait than can be read in time.",
                    retry_after_s=self._retry_after_s(),
                )
            if not self._inside:
                self._since = self._clock()
            self._inside += photos
        places = Permit(self._leave, photos)
        try:
            yield places
        finally:
            places.give_back()

    def _leave(self, photos: int) -> None:
        if not photos:
            return
        with self._lock:
            now = self._clock()
            for seconds in [now - self._since] + [0.0] * (photos - 1):
                self._pace_s = (
                    seconds
                    if self._pace_s is None
                    else self._pace_s + (seconds - self._pace_s) / _MEMORY
                )
            self._since = now
            self._inside -= photos

    def _retry_after_s(self) -> int:
        """Until all who are inside have left, at the measured pace, or at that of the wait for the next one where it is longer."""
        pace = max(self._pace_s or 0.0, self._clock() - self._since)
        return math.ceil(min(max(max(self._inside, 1) * pace, 1.0), max(self._longest_s, 1.0)))
