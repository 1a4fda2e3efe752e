"""Collect decoded photos into small batches, and run the reader on them in its own threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from keylike.errors import RETRY_AFTER_S, KeylikeError, Overloaded
from keylike.images.photo import Photo
from keylike.observability.photo_trace import StageTiming, TraceBuilder
from keylike.readers.contract import Reader
from keylike.scheduling.batch_runner import Outcome, Result, run_batch
from keylike.scheduling.client import Client, shutting_down
from keylike.scheduling.fair_queue import FairQueue
from keylike.scheduling.queue_metrics import LoadMeter

# A batch that is not full waits for further photos: for this share of the time that the last batch
# took, but for at most this number of seconds.
_WINDOW_SHARE = 0.1
_WINDOW_MOST_S = 0.05


class _Entry:
    """A decoded photo that waits for the reader or is being read."""

    def __init__(self, photo: Photo, client: Client, lock: threading.Lock, now: float) -> None:
        self.photo: Photo | None = photo
        self.client = client
        self.since = now
        self.taken = False
        self.read_from: float | None = None
        self.ended: float | None = None
        self.outcome: Outcome | None = None
        self.done = threading.Condition(lock)

    def finish(self, outcome: Outcome, now: float) -> None:
        """Store the outcome, free the pixels, and wake the waiting thread."""
        self.photo = None
        self.outcome = outcome
        self.ended = now
        self.done.notify()

    def timings(self, now: float) -> list[StageTiming]:
        """Return the times of waiting and reading so far."""
        ended = now if self.ended is None else self.ended
        if self.read_from is None:
            return [StageTiming("queue", self.since, ended)]
        return [
            StageTiming("queue", self.since, self.read_from),
            StageTiming("model", self.read_from, ended),
        ]

    def result(self) -> Result:
        """Return the reader's result.

        Raises:
            Exception: Whatever the reader raised for this photo.
        """
        # The entry must not keep the exception. Its traceback refers to the entry, so neither would
        # be freed.
        outcome, self.outcome = self.outcome, None
        if isinstance(outcome, Exception):
            try:
                raise outcome
            finally:
                del outcome
        assert outcome is not None
        return outcome


class MicroBatcher:
    """A runner of a reader on batches of decoded photos, in which clients take turns.

    Args:
        reader: A loaded reader.
        threads: Number of threads that run the reader. They start with the first photo.
        meter: Counts threads and measures batches.
        clock: Returns monotonic seconds.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        threads: int,
        meter: LoadMeter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._wanted = threads
        self._max_batch = reader.info.max_batch
        self._meter = meter
        self._clock = clock
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._queue = FairQueue[_Entry]()
        self._expected = 0
        self._batch_s = 0.0
        self._threads: list[threading.Thread] = []
        self._closed = False

    @contextmanager
    def expect(self) -> Iterator[None]:
        """Announce a photo while it is decoded in the `with` block.

        A batch that is not full waits a short time for announced photos.
        """
        with self._lock:
            self._expected += 1
        try:
            yield
        except BaseException:
            with self._lock:
                self._expected -= 1
                self._work.notify_all()
            raise
        # Do not wake the reader here. The photo arrives next, and without it the batch would be
        # smaller.
        with self._lock:
            self._expected -= 1

    def read(self, photo: Photo, client: Client, trace: TraceBuilder) -> Result:
        """Put one photo into a batch, and wait for the reader's result.

        Raises:
            DeadlineExceeded, ClientGone: The client no longer waits. A batch that has started is
                not interrupted.
            ModelLoading: The batcher is closed.
            Exception: Whatever the reader raised for this photo.
        """
        entry = _Entry(photo, client, self._lock, self._clock())
        del photo
        try:
            with self._lock:
                self._start_threads()
                self._queue.put(client.name, entry)
                self._work.notify()
                self._wait(entry)
        finally:
            trace.add(entry.timings(self._clock()))
        return entry.result()

    def waiting_since(self) -> list[float]:
        """Return the arrival times of photos that wait for the reader."""
        with self._lock:
            return [entry.since for entry in self._queue]

    def close(self, timeout_s: float = 5.0) -> bool:
        """Refuse waiting photos, and let the reader finish its current batches.

        Returns:
            True if all threads have stopped within `timeout_s` seconds.
        """
        with self._lock:
            self._closed = True
            while self._queue:
                self._queue.take().finish(shutting_down(), self._clock())
            self._work.notify_all()
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    # The methods down to _next are called with the lock held.

    def _start_threads(self) -> None:
        if self._closed:
            raise shutting_down()
        while len(self._threads) < self._wanted:
            thread = threading.Thread(target=self._run, name="reader", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # There is no memory for another thread, or the limit of threads is reached.
                if self._threads:
                    return
                raise Overloaded(
                    "There is not enough memory to read a photo now.", retry_after_s=RETRY_AFTER_S
                ) from None
            self._threads.append(thread)
            self._meter.thread_started()

    def _wait(self, entry: _Entry) -> None:
        while entry.outcome is None:
            try:
                patience = entry.client.time_left(self._clock())
            except KeylikeError:
                if not entry.taken:
                    self._queue.remove(entry.client.name, entry)
                raise
            entry.done.wait(patience)

    def _next(self) -> _Entry | None:
        """Return the next photo whose client still waits, and drop those before it."""
        while self._queue:
            entry = self._queue.take()
            entry.taken = True
            failure = entry.client.failure(self._clock())
            if failure is None:
                return entry
            entry.finish(failure, self._clock())
        return None

    # The methods below run in the reader's threads.

    def _run(self) -> None:
        while batch := self._gather():
            started = self._clock()
            photos = [entry.photo for entry in batch if entry.photo is not None]
            outcomes = run_batch(
                self._reader, photos, self._meter, lambda at: self._unwanted(batch[at])
            )
            del photos
            self._batch_s = self._clock() - started
            self._finish(batch, outcomes)
            # While it waits, a thread must not keep the pixels, about 10 MB per photo.
            del batch
        self._meter.thread_ended()

    def _gather(self) -> list[_Entry]:
        """Wait for the next batch and return it; return an empty one if the batcher is closed."""
        with self._lock:
            while not (batch := self._fill([])):
                if self._closed:
                    return []
                self._work.wait()
            until = self._clock() + min(_WINDOW_SHARE * self._batch_s, _WINDOW_MOST_S)
            while (
                len(batch) < self._max_batch
                and self._expected
                and (left := until - self._clock()) > 0
            ):
                self._work.wait(left)
                self._fill(batch)
            for entry in batch:
                entry.read_from = self._clock()
            return batch

    def _fill(self, batch: list[_Entry]) -> list[_Entry]:
        while len(batch) < self._max_batch and (entry := self._next()):
            batch.append(entry)
        return batch

    def _unwanted(self, entry: _Entry) -> KeylikeError | None:
        return entry.client.failure(self._clock())

    def _finish(self, batch: Sequence[_Entry], outcomes: Sequence[Outcome]) -> None:
        with self._lock:
            for entry, outcome in zip(batch, outcomes, strict=True):
                entry.finish(outcome, self._clock())
