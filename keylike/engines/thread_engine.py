"""An engine that decodes a photo in the request's thread, and reads it in other threads."""

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
    """An engine that passes decoded photos to a micro-batcher, which calls the reader.

    The number of photos that may leave the queue depends on the reader:

    - A reader that computes on the same cores as decoding (`info.workers` is None) gets as many
      photos as there are threads. More photos would only compete for the processor's caches.
    - A reader with its own workers, such as a GPU, gets one more full batch per worker than the
      running ones. Not more, because a decoded photo takes about 10 MB of memory while it waits.

    Args:
        reader: The loaded reader.
        open_photo: Decodes a picture, or raises KeylikeError.
        slots: Admission control.
        meter: Counts the batches of the reader.
        threads: Number of photos that are decoded at the same time.
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
        """Run the reader once, so that the first request is not slower than later ones."""
        self._reader.warm()

    def read(self, data: bytes, client: Client, trace: TraceBuilder) -> Result:
        """Decode and read one picture when it is the client's turn (see Engine)."""
        with self._slots.turn(client, trace):
            with self._batcher.expect(), self._decoders, trace.stage("decode"):
                photo = self._open_photo(data)
            return self._batcher.read(photo, client, trace)

    def waiting_since(self) -> list[float]:
        """Return the arrival times of decoded photos that wait for the reader."""
        return self._batcher.waiting_since()

    def close(self, timeout_s: float = 5.0) -> bool:
        """Stop the reader's threads."""
        return self._batcher.close(timeout_s)
