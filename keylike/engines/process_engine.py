"""An engine that decodes and reads in worker processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from keylike.observability.photo_trace import StageTiming, TraceBuilder
from keylike.readers.contract import Reader, ReaderInfo
from keylike.scheduling.admission import AdmissionControl, Capacity
from keylike.scheduling.batch_runner import Result
from keylike.scheduling.client import Client
from keylike.scheduling.queue_metrics import LoadMeter
from keylike.workers.pool import WorkerPool


class ProcessEngine:
    """An engine with a pool of worker processes. If one crashes or hangs, only its photo fails.

    Args:
        workers: The pool. The reader is loaded here.
        slots: Admission control, which lets at most one photo per worker start.
        meter: Counts each photo as a batch of one.
        clock: Returns monotonic seconds.

    Raises:
        ModelError: The reader cannot be loaded.
    """

    def __init__(
        self,
        workers: WorkerPool,
        slots: AdmissionControl,
        meter: LoadMeter,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.info: ReaderInfo = replace(workers.load(), workers=workers.count)
        self.reader: Reader | None = None
        self.capacity = Capacity(workers.count, workers.count)
        self._workers = workers
        self._slots = slots
        self._meter = meter
        self._clock = clock

    def warm(self) -> None:
        """Start the workers. Their reader is warm already, in the process that forks them."""
        self._workers.start()

    def read(self, data: bytes, client: Client, trace: TraceBuilder) -> Result:
        """Decode and read one picture when it is the client's turn (see Engine)."""
        with self._slots.turn(client, trace):
            began = self._clock()
            read_s = 0.0
            try:
                with self._meter.batch(1):
                    reply = self._workers.read(data, client.deadline - began)
                read_s = reply.read_s
            finally:
                ended = self._clock()
                decoded = max(began, ended - read_s)
                trace.add([StageTiming("decode", began, decoded)])
                if read_s:
                    trace.add([StageTiming("model", decoded, ended)])
        client.time_left(self._clock())
        return reply.result

    def waiting_since(self) -> list[float]:
        """Return an empty list: a photo leaves the queue only when a worker is free."""
        return []

    def close(self, timeout_s: float = 5.0) -> bool:
        """Kill the workers."""
        self._workers.close()
        return True
