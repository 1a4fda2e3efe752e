"""The interface of an engine: it takes an encoded picture and returns the reader's result."""

from __future__ import annotations

from typing import Protocol

from keylike.observability.photo_trace import TraceBuilder
from keylike.readers.contract import Reader, ReaderInfo
from keylike.scheduling.admission import Capacity
from keylike.scheduling.batch_runner import Result
from keylike.scheduling.client import Client


class Engine(Protocol):
    """A loaded reader with the threads or processes in which it runs. It is thread-safe."""

    @property
    def info(self) -> ReaderInfo:
        """Name, version and digest of the reader."""

    @property
    def reader(self) -> Reader | None:
        """The reader if it runs in this process, otherwise None."""

    @property
    def capacity(self) -> Capacity:
        """Number of photos that the engine can hold at the same time."""

    def warm(self) -> None:
        """Run the reader once, so that the first request is not slower than later ones.

        Raises:
            ModelError: The reader cannot be used.
        """

    def read(self, data: bytes, client: Client, trace: TraceBuilder) -> Result:
        """Wait for the client's turn in the queue, then decode and read one picture.

        Args:
            data: An encoded picture.
            client: The sender. Waiting stops when its deadline passes or it disconnects.
            trace: Receives the time of each stage.

        Raises:
            KeylikeError: The picture cannot be decoded, the client no longer waits, or the engine
                is overloaded or closed.
            Exception: The reader failed.
        """

    def waiting_since(self) -> list[float]:
        """Return the arrival times of photos that left the queue and wait for the reader."""

    def close(self, timeout_s: float = 5.0) -> bool:
        """Stop the engine.

        Returns:
            True if all its threads and processes have stopped within `timeout_s` seconds.
        """
