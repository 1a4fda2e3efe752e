"""An engine that decodes in the request's thread and reads in threads of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from keylike.images.photo import Photo
from keylike.observability.photo_trace import TraceBuilder
from keylike.readers.contract import Reader, ReaderInfo
from keylike.scheduling.admission import AdmissionControl, Capacity
from keylike.scheduling.batch_runner import Result
from keylike.scheduling.client import Client
from keylike.scheduling.micro_batcher import MicroBatcher
from keylike.scheduling.queue_metrics import LoadMeter


class ThreadEngine:
    """A reader behind a micro-batcher.

    A reader that computes on the same cores as the decoders (`info.workers` is None) gets as many
    photos as there are threads: more would only evict each other from the processor's caches. A reader
    with workers of its own, such as a GPU, gets one full batch per worker ahead of the running ones.
    Decoded photos take ten megabytes each, so no more than that wait.

    Parameters:
        reader: The loaded reader.
        open_photo: Decodes a picture; raises KeylikeError.
        slots: Gives turns.
        meter: Counts threads and batches.
        threads: Photos decoded at the same time.
        clock: Returns monotonic seconds.
    """

    def __init__(
        self,
        reader: Reader,
        open_photo: Callable[[bytes], Photo],
        slots: AdmissionControl,
        meter: LoadMeter,
        *,
        threads: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        workers = reader.info.workers
        batch = reader.info.max_batch * (workers or threads)
        self.reader: Reader | None = reader
        self.capacity = Capacity(threads if workers is None else threads + 2 * batch, batch)
        self._reader = reader
        self._open_photo = open_photo
        self._slots = slots
        self._decoders = threading.BoundedSemaphore(threads)
        self._batcher = MicroBatcher(reader, threads=workers or threads, meter=meter, clock=clock)

    @property
    def info(self) -> ReaderInfo:
        """Name, version and digest of the reader."""
        return self._reader.info

    def warm(self) -> None:
        """Warm the reader."""
        self._reader.warm()

    def read(self, data: bytes, client: Client, trace: TraceBuilder) -> Result:
        """Decode and read one picture when it is the client's turn (see Engine)."""
        with self._slots.turn(client, trace):
            with self._batcher.expect(), self._decoders, trace.stage("decode"):
                photo = self._open_photo(data)
            return self._batcher.read(photo, client, trace)

    def waiting_since(self) -> list[float]:
        """Return the time of arrival of each decoded photo that waits."""
        return self._batcher.waiting_since()

    def close(self, timeout_s: float = 5.0) -> bool:
        """Stop the reader's threads."""
        return self._batcher.close(timeout_s)
