"""Processes many photos at the same time and returns the results in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from keylike_client.errors import KeylikeError
from keylike_client.models import Reading
from keylike_client.photos import Photo

# Number of submitted photos per concurrent request. With one more photo than requests, a slow photo
# does not delay the others.
_QUEUED_PER_REQUEST = 2

Progress = Callable[[int, int | None], object]
ReadOne = Callable[[Photo, threading.Event], Reading]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one photo: a `reading` or an `error`. `index` is its position, from 0."""

    index: int
    photo: Photo = field(repr=False)
    reading: Reading | None = None
    error: KeylikeError | None = None


def map_in_order(
    read_one: ReadOne, photos: Iterable[Photo], at_once: int, progress: Progress | None
) -> Iterator[Outcome]:
    """Call `read_one` for each photo and yield the outcomes in order.

    Args:
        read_one: Function that reads a photo. Its event is set when its result is not needed.
        photos: Photos to read.
        at_once: Number of concurrent calls.
        progress: Function that receives the number of finished photos and the total, if known.
    """
    total = len(photos) if isinstance(photos, Sized) else None
    numbered = enumerate(photos)
    cancelled = threading.Event()
    pending: deque[Future[Outcome]] = deque()

    def outcome(index: int, photo: Photo) -> Outcome:
        try:
            return Outcome(index, photo, reading=read_one(photo, cancelled))
        except KeylikeError as error:
            return Outcome(index, photo, error=error)

    with ThreadPoolExecutor(at_once, thread_name_prefix="keylike") as pool:
        try:
            pending.extend(
                pool.submit(outcome, *each)
                for each in islice(numbered, at_once * _QUEUED_PER_REQUEST)
            )
            while pending:
                done = pending.popleft().result()
                pending.extend(pool.submit(outcome, *each) for each in islice(numbered, 1))
                if progress is not None:
                    progress(done.index + 1, total)
                yield done
        finally:
            cancelled.set()
            for future in pending:
                future.cancel()
