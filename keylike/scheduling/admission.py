"""Admission control: limit the photos in the server, and let clients use the engine in turn."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from keylike.errors import RETRY_AFTER_S, KeylikeError, ModelLoading, Overloaded
from keylike.observability.photo_trace import StageTiming, TraceBuilder
from keylike.scheduling.client import NO_CLIENT, Client, shutting_down
from keylike.scheduling.fair_queue import FairQueue
from keylike.scheduling.queue_metrics import LoadMeter

# Number of photos over which the average time per photo is computed. It is large enough to even out
# batches, and small enough to adapt when the model becomes slower.
_AVERAGED_PHOTOS = 16
# One in this many positions of the queue is reserved: the last quarter of the queue is divided
# equally among the clients, so that one client cannot fill all of it.
_RESERVED_SHARE = 4


@dataclass(frozen=True, slots=True)
class Capacity:
    """The capacity of an engine.

    Attributes:
        turns: Number of photos that may be in the engine at the same time.
        batch: Number of photos that its reader processes at the same time.
    """

    turns: int
    batch: int


class Permit:
    """The queue capacity that one request holds: one unit for each of its photos."""

    def __init__(self, leave: Callable[[int], None], photos: int) -> None:
        self._leave = leave
        self._left = photos
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Give back the capacity for one photo at the end of the block."""
        try:
            yield
        finally:
            self._give_back(1)

    def release(self) -> None:
        """Give back all capacity that the request still holds."""
        self._give_back(self._left)

    def _give_back(self, photos: int) -> None:
        with self._lock:
            photos = min(photos, self._left)
            self._left -= photos
        if photos:
            self._leave(photos)


class _Ticket:
    """A photo that waits for its turn."""

    def __init__(self, client: Client, lock: threading.Lock, now: float) -> None:
        self.client = client
        self.since = now
        self.granted = False
        self.failure: KeylikeError | None = None
        self.changed = threading.Condition(lock)


class AdmissionControl:
    """A limit on the photos in the server, and a queue in which clients take turns.

    `admit` decides before decoding whether the queue has capacity for the photos of a request. When
    the queue is three quarters full, its last quarter is divided equally among the clients. `turn`
    waits until the engine can take one photo. Both raise ModelLoading until `open` is called.

    Args:
        queue: Number of photos that may wait, in addition to those that the reader processes.
        meter: Measures the batches of the reader, and tells whether it is stuck.
        longest_s: Longest time that a request may take, in seconds. Retry-After is never longer.
        clock: Returns monotonic seconds.
    """

    def __init__(
        self,
        queue: int,
        meter: LoadMeter,
        *,
        longest_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self.queue = queue
        self._meter = meter
        self._longest_s = longest_s
        self._lock = threading.Lock()
        self._capacity: Capacity | None = None
        self._closed = False
        self._admitted = 0
        self._admitted_by: Counter[str] = Counter()
        self._last_change = 0.0  # time of the last change: a photo finished, or the first one came
        self._pace_s: float | None = None  # average seconds per photo
        self._waiting = FairQueue[_Ticket]()
        self._turns: dict[_Ticket, float] = {}  # since when each photo holds its turn

    def open(self, capacity: Capacity) -> None:
        """Admit photos from now on. `capacity` is that of the engine."""
        with self._lock:
            self._capacity = capacity
            self._grant()

    def close(self) -> None:
        """Refuse new photos and photos that wait."""
        with self._lock:
            self._closed = True
            while self._waiting:
                self._fail(self._waiting.take(), shutting_down())

    @contextmanager
    def admit(self, photos: int, client: Client = NO_CLIENT) -> Iterator[Permit]:
        """Hold queue capacity for all photos of a request until the end of the block.

        A request with more photos than the whole queue is admitted if there are no other photos.

        Raises:
            ModelLoading: No engine is ready.
            Overloaded: The queue is full, or it is nearly full and the client has used its share,
                or the reader is stuck.
        """
        with self._lock:
            self._check_limit(photos, client.name)
            if not self._admitted:
                self._last_change = self.clock()
            self._admitted += photos
            self._admitted_by[client.name] += photos
        permit = Permit(partial(self._leave, client.name), photos)
        try:
            yield permit
        finally:
            permit.release()

    @contextmanager
    def turn(self, client: Client, trace: TraceBuilder) -> Iterator[None]:
        """Wait for the client's turn, and occupy the engine until the end of the block.

        Raises:
            DeadlineExceeded, ClientGone: The client no longer waits.
            ModelLoading: No engine is ready, or the server shuts down.
        """
        ticket = _Ticket(client, self._lock, self.clock())
        try:
            self._wait(ticket)
        finally:
            trace.add([StageTiming("queue", ticket.since, self.clock())])
        try:
            yield
        finally:
            with self._lock:
                del self._turns[ticket]
                self._grant()

    @property
    def at_a_time(self) -> int:
        """Number of photos of one request that are worth processing in parallel.

        Raises:
            ModelLoading: No engine is ready.
        """
        with self._lock:
            return self._ready().turns

    @property
    def admitted(self) -> int:
        """Number of admitted photos, waiting or being processed."""
        return self._admitted

    @property
    def in_flight(self) -> int:
        """Photos that hold a turn."""
        return len(self._turns)

    def waiting_since(self) -> list[float]:
        """Return the arrival times of photos that wait for their turn."""
        with self._lock:
            return [ticket.since for ticket in self._waiting]

    def is_stuck(self) -> bool:
        """Return True if no photo gets through: all threads work for longer than a request may take.

        Either every thread of the reader has been on its batch for that long, or every turn has been
        held for that long, for example because a decoder does not finish.
        """
        with self._lock:
            return self._stuck()

    def retry_after_s(self) -> int | None:
        """Return the seconds for Retry-After if another photo would be refused, or else None."""
        with self._lock:
            if self._closed or self._capacity is None or self._admitted < self._limit():
                return None
            return self._estimate_s()

    # The methods below are called with the lock held.

    def _ready(self) -> Capacity:
        if self._closed:
            raise shutting_down()
        if self._capacity is None:
            raise ModelLoading("The model is still loading.", retry_after_s=RETRY_AFTER_S)
        return self._capacity

    def _limit(self) -> int:
        capacity = self._ready()
        return 0 if self._stuck() else self.queue + capacity.batch

    def _stuck(self) -> bool:
        late = self.clock() - self._longest_s
        held = sum(since < late for since in self._turns.values())
        turns = self._capacity.turns if self._capacity else math.inf
        return held >= turns or self._meter.stuck(self._longest_s)

    def _check_limit(self, photos: int, client: str) -> None:
        limit = self._limit()
        if not self._admitted and limit:
            return
        total = self._admitted + photos
        if total > limit:
            raise Overloaded(
                "The queue is full: more photos wait than can be read in time.",
                retry_after_s=self._estimate_s(),
            )
        reserved = limit // _RESERVED_SHARE
        if total > limit - reserved:
            clients = len(self._admitted_by) + (client not in self._admitted_by)
            if self._admitted_by[client] + photos > max(1, reserved // clients):
                raise Overloaded(
                    "The queue is nearly full, and this client has its share of it.",
                    retry_after_s=self._estimate_s(),
                )

    def _wait(self, ticket: _Ticket) -> None:
        with self._lock:
            self._ready()
            self._waiting.put(ticket.client.name, ticket)
            self._grant()
            while not ticket.granted:
                if ticket.failure is not None:
                    raise ticket.failure
                try:
                    patience = ticket.client.time_left(self.clock())
                except KeylikeError:
                    self._waiting.remove(ticket.client.name, ticket)
                    raise
                ticket.changed.wait(patience)

    def _grant(self) -> None:
        """Let the next photos into the engine, as far as it has capacity."""
        turns = 0 if self._closed or self._capacity is None else self._capacity.turns
        while len(self._turns) < turns and self._waiting:
            ticket = self._waiting.take()
            failure = ticket.client.failure(self.clock())
            if failure is None:
                self._turns[ticket] = self.clock()
                ticket.granted = True
                ticket.changed.notify()
            else:
                self._fail(ticket, failure)

    def _fail(self, ticket: _Ticket, failure: KeylikeError) -> None:
        ticket.failure = failure
        ticket.changed.notify()

    def _leave(self, client: str, photos: int) -> None:
        with self._lock:
            now = self.clock()
            for seconds in [now - self._last_change] + [0.0] * (photos - 1):
                if self._pace_s is None:
                    self._pace_s = seconds
                else:
                    self._pace_s += (seconds - self._pace_s) / _AVERAGED_PHOTOS
            self._last_change = now
            self._admitted -= photos
            self._admitted_by[client] -= photos
            if not self._admitted_by[client]:
                del self._admitted_by[client]

    def _estimate_s(self) -> int:
        """Return the estimated time until the current photos finish, in whole seconds."""
        # The average time per photo; or the time since the last photo finished, if that is longer.
        pace = max(self._pace_s or 0.0, self.clock() - self._last_change)
        estimate = max(max(self._admitted, 1) * pace, 1.0)
        return math.ceil(min(estimate, max(self._longest_s, 1.0)))
