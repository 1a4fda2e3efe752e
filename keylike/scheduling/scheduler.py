"""The one way to the reader: photos are decoded beside it, wait in a bounded and fair queue, and are read in small batches.

A request's own thread decodes its photo when it is given a turn, and waits for the result; the reader's threads do nothing but read.
How many are let in is for the door to say, before anything is decoded.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

from keylike.errors import RETRY_AFTER_S, KeylikeError, Overloaded
from keylike.images.photo import Photo
from keylike.observability.photo_trace import TraceBuilder
from keylike.readers.contract import Reader, ReaderInfo
from keylike.scheduling.admission import AdmissionControl, Permit
from keylike.scheduling.batch_runner import ask_batch
from keylike.scheduling.fair_queue import FairQueue
from keylike.scheduling.job import Client, Job, Result, Step, closing
from keylike.scheduling.queue_metrics import LoadMeter, LoadSnapshot
from keylike.workers.pool import ReadingProcesses
from keylike.workers.replies import Reply

__all__ = ["Client", "Result", "Scheduler"]

T = TypeVar("T")
# How often whoever waits looks whether the caller still does.
_GLANCE_S = 0.5
# A batch that is not full waits for photos under way, for this share of what a batch takes, and never longer than this.
_WINDOW_SHARE, _WINDOW_MOST_S = 0.1, 0.05


class Scheduler:
    """Lets `queue` photos wait beside those being read, decodes `threads` at a time, and asks the reader from as many threads unless it
    wants fewer. `reader` gives the loaded reader or raises ModelLoading; `longest_s` is the longest that a request may take; `clock`
    counts seconds."""

    def __init__(
        self,
        reader: Callable[[], Reader],
        *,
        queue: int,
        threads: int,
        longest_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.reader = reader
        self.clock = clock
        self._queue, self._threads, self._longest_s = queue, threads, longest_s
        self._door, self._meter = AdmissionControl(longest_s, clock), LoadMeter(clock)
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._waiting, self._decoded = FairQueue[Job](), FairQueue[Job]()
        self._decoding = self._reading = 0
        self._batch_s = 0.0
        self._workers: list[threading.Thread] = []
        self._wanted = self._turns = 0
        self._apart = False
        self._closed = False

    def admit(self, photos: int) -> AbstractContextManager[Permit]:
        """Places for the photos of one request. Raises Overloaded at once where the queue has not that many left or the reader is stuck,
        and ModelLoading."""
        most, workers = self._shape(self.reader().info)
        return self._door.admit(photos, 0 if self.stuck() else self._queue + most * workers)

    def stuck(self) -> bool:
        """Whether all of the reader's threads have had their photos for longer than a request may take: who came now would wait in vain."""
        return bool(self._workers) and self._meter.stuck(len(self._workers), self._longest_s)

    def full(self) -> int | None:
        """After how many seconds to come back where `admit` lets nobody in, otherwise None."""
        return (
            self._door.full(0 if self.stuck() else self._queue + self._most * self._wanted)
            if self._wanted
            else None
        )

    def left_s(self, client: Client) -> float:
        """Seconds that this caller can still wait before somebody should ask again. Raises DeadlineExceeded and CallerGone."""
        lost = client.lost(self.clock())
        if lost is not None:
            raise lost
        return min(_GLANCE_S, max(0.0, client.deadline - self.clock()))

    def at_a_time(self) -> int:
        """How many photos of one request are worth having under way. Raises ModelLoading."""
        most, workers = self._shape(self.reader().info)
        return self._threads + most * workers

    def load(self) -> LoadSnapshot:
        """How busy it is, and what it has done since the start."""
        with self._lock:
            waits, decoding = (
                [job.since for line in (self._waiting, self._decoded) for job in line],
                self._decoding,
            )
        # Reading processes decode and read in one turn, which counts as reading.
        return self._meter.load(waits, room=self._queue, decoding=decoding, apart=self._apart)

    def read(
        self, open_photo: Callable[[], Photo], client: Client, notes: TraceBuilder | None = None
    ) -> Result:
        """What the reader makes of a photo that `open_photo` decodes, in this thread. Raises what either raises, DeadlineExceeded,
        CallerGone, and ModelLoading before the reader is ready and after `close`. `notes`, by the same clock, get what the time went to."""
        job = Job(client, self._lock, self.clock)
        try:
            return self._lead(job, open_photo)
        finally:
            job.record_timings(notes)

    def beside(self, work: Callable[[], T], client: Client) -> T:
        """What `work` gives, in this thread, when it is its turn to decode: for what decodes a photo and then does not need the reader.
        Raises what `work` raises and otherwise the same as `read`; what was begun is ended, and given to nobody if it is too late."""
        return self._in_turn(Job(client, self._lock, self.clock), work)

    def read_apart(
        self, ask_process: Callable[[], Reply], client: Client, notes: TraceBuilder | None = None
    ) -> Result:
        """What a reading process makes of a photo, which `ask_process` asks, in this thread, when one of them is free. Raises what that
        raises and otherwise the same as `beside`."""
        job = Job(client, self._lock, self.clock)

        def work() -> Result:
            with self._meter.batch(1):
                reply = ask_process()
            job.was_read(reply.read_s)
            return reply.result

        try:
            return self._in_turn(job, work)
        finally:
            job.record_timings(notes)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Turns away what still waits, and lets the reader finish what it has begun, for so many seconds at most; whether it has."""
        with self._lock:
            self._closed = True
            for line in (self._waiting, self._decoded):
                while line:
                    line.take().end(closing())
            self._work.notify_all()
        until = time.monotonic() + timeout_s
        for worker in self._workers:
            worker.join(max(0.0, until - time.monotonic()))
        return not any(worker.is_alive() for worker in self._workers)

    def _lead(self, job: Job, open_photo: Callable[[], Photo]) -> Result:
        """The whole way of a photo, in its request's thread."""
        self._await_turn(job)
        if job.stage is Step.DECODES:
            self._decode(job, open_photo)
        with self._lock:
            self._wait_for(job, Step.DONE)
        return job.result()

    def _in_turn(self, job: Job, work: Callable[[], T]) -> T:
        self._await_turn(job)
        if job.stage is Step.DONE:
            job.result()
        try:
            given = work()
        finally:
            with self._lock:
                job.end(closing())
                self._decoding -= 1
                self._give_turns()
                self._work.notify_all()
        self.left_s(job.client)
        return given

    def _await_turn(self, job: Job) -> None:
        """Until it is this photo's turn to be decoded, or it is done before."""
        with self._lock:
            self._start()
            self._waiting.put(job.client.name, job)
            self._give_turns()
            self._wait_for(job, Step.DECODES)

    def _shape(self, info: ReaderInfo) -> tuple[int, int]:
        """Photos in one go, and threads that ask the reader."""
        return info.max_batch, info.workers or self._threads

    # What follows down to _decode is called with the lock held.

    def _start(self) -> None:
        """Makes the reader's threads at the first photo: before, nobody knows how many it wants. They die with the process."""
        if self._closed:
            raise closing()
        if not self._wanted:
            reader = self.reader()
            self._most, self._wanted = self._shape(reader.info)
            self._apart = isinstance(reader, ReadingProcesses)
            self._turns = self._wanted if self._apart else self._threads
            self._beside = reader.info.workers is not None and not self._apart
            self._ahead = self._threads + self._most * self._wanted if self._beside else self._turns
        while len(self._workers) < self._wanted and not self._apart:
            worker = threading.Thread(
                target=self._serve, args=(self.reader(),), name="reader", daemon=True
            )
            try:
                worker.start()
            except RuntimeError:  # there is no memory for a thread, or there are too many
                if self._workers:
                    return
                raise Overloaded(
                    "There is not enough memory to read a photo now.", retry_after_s=RETRY_AFTER_S
                ) from None
            self._workers.append(worker)

    def _give_turns(self) -> None:
        """Lets the next ones decode. Decoded photos take ten megabytes, so no more of them wait than the reader takes next; and where it
        reads on the same cores, no more are under way than there are threads: they would only push each other out of the caches."""
        while self._decoding < self._turns and self._under_way() < self._ahead:
            job = self._next(self._waiting)
            if job is None:
                return
            self._decoding += 1
            job.move(Step.DECODES)

    def _under_way(self) -> int:
        return self._decoding + len(self._decoded) + (0 if self._beside else self._reading)

    def _next(self, line: FairQueue[Job]) -> Job | None:
        """The next whose answer is still wanted; the others are dropped."""
        while line:
            job = line.take()
            lost = job.client.lost(self.clock())
            if lost is None:
                return job
            job.end(lost)
        return None

    def _wait_for(self, job: Job, stage: Step) -> None:
        """Waits until a photo gets there, or is done earlier; leaves the queue where that is of no use any more."""
        while job.stage < stage:
            try:
                patience = self.left_s(job.client)
            except KeylikeError:
                self._withdraw(job)
                raise
            job.bell.wait(patience)

    def _withdraw(self, job: Job) -> None:
        """What the reader has begun it also ends, for nobody."""
        if job.stage is Step.WAITS:
            self._waiting.remove(job.client.name, job)
        elif job.stage is Step.DECODED:
            self._decoded.remove(job.client.name, job)
            self._give_turns()

    def _decode(self, job: Job, open_photo: Callable[[], Photo]) -> None:
        """Decodes beside the others, and puts the photo before the reader."""
        photo = None
        try:
            photo = open_photo()
        finally:
            with self._lock:
                self._decoding -= 1
                if photo is None or self._closed:
                    job.end(closing())
                else:
                    job.photo = photo
                    job.move(Step.DECODED)
                    self._decoded.put(job.client.name, job)
                self._give_turns()
                self._work.notify_all()

    # What follows runs in the reader's threads.

    def _serve(self, reader: Reader) -> None:
        while batch := self._gather():
            started = self.clock()
            outcomes = ask_batch(reader, batch, self._meter, self.clock)
            self._batch_s = self.clock() - started
            self._end(batch, outcomes)
            del batch  # ten megabytes a photo, while nothing is to do

    def _gather(self) -> list[Job]:
        """What is read next: all that waits, up to a full batch; nothing once the scheduler is closed."""
        with self._lock:
            while not (batch := self._take([])):
                if self._closed:
                    return []
                self._work.wait()
            until = self.clock() + min(_WINDOW_SHARE * self._batch_s, _WINDOW_MOST_S)
            # Idle, nobody is decoding and nothing is waited for.
            while len(batch) < self._most and self._decoding and (left := until - self.clock()) > 0:
                self._work.wait(left)
                self._take(batch)
            for job in batch:
                job.stamp()
            return batch

    def _take(self, batch: list[Job]) -> list[Job]:
        """Fills a batch from what is decoded, and lets others decode in its place."""
        while len(batch) < self._most and (job := self._next(self._decoded)):
            job.move(Step.READ)
            self._reading += 1
            batch.append(job)
        self._give_turns()
        return batch

    def _end(self, batch: Sequence[Job], outcomes: Sequence[Result | Exception]) -> None:
        with self._lock:
            for job, outcome in zip(batch, outcomes, strict=True):
                job.end(outcome)
            self._reading -= len(batch)
            self._give_turns()
