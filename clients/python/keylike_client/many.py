"""Many photos: some at once, answers in order, and a failure is that of its own photo alone."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from keylike_client.answers import Reading
from keylike_client.errors import KeylikeError
from keylike_client.photos import Photo

# For each that is under way one more waits, so that a slow one holds up none behind it.
_WAITING = 2

Progress = Callable[[int, int | None], object]
One = Callable[[Photo, threading.Event], Reading]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a photo: `reading`, or else `error`; `index` counts from 0."""

    index: int
    photo: Photo = field(repr=False)
    reading: Reading | None = None
    error: KeylikeError | None = None


def in_order(
    one: One, photos: Iterable[Photo], at_once: int, progress: Progress | None
) -> Iterator[Outcome]:
    """Calls `one` for each photo; the event that it gets is set once nobody waits for the rest."""
    total = len(photos) if isinstance(photos, Sized) else None
    numbered = enumerate(photos)
    given_up = threading.Event()
    waiting: deque[Future[Outcome]] = deque()

    def outcome(index: int, photo: Photo) -> Outcome:
        try:
            return Outcome(index, photo, reading=one(photo, given_up))
        except KeylikeError as error:
            return Outcome(index, photo, error=error)

    with ThreadPoolExecutor(at_once, thread_name_prefix="keylike") as pool:
        try:
            waiting.extend(
                pool.submit(outcome, *each) for each in islice(numbered, at_once * _WAITING)
            )
            while waiting:
                done = waiting.popleft().result()
                waiting.extend(pool.submit(outcome, *each) for each in islice(numbered, 1))
                if progress is not None:
                    progress(done.index + 1, total)
                yield done
        finally:
            given_up.set()
            for future in waiting:
                future.cancel()
