"""The interface of an engine: encoded pictures in, results out, under admission control."""

from __future__ import annotations

from typing import Protocol

from keylike.observability.photo_trace import TraceBuilder
from keylike.readers.contract import Reader, ReaderInfo
from keylike.scheduling.admission import Capacity
from keylike.scheduling.batch_runner import Result
from keylike.scheduling.client import Client


class Engine(Protocol):
    """A loaded reader with the threads or processes it runs in. Safe to use from many threads."""

    @property
    def info(self) -> ReaderInfo:
        """Name, version and digest of the reader."""

    @property
    def reader(self) -> Reader | None:
        """The reader if it runs in this process, otherwise None."""

    @property
    def capacity(self) -> Capacity:
        """Photos that the engine can hold."""

    def warm(self) -> None:
        """Run the reader once, so that the first request does not pay for it. Raise ModelError."""

    def read(self, data: bytes, client: Client, trace: TraceBuilder) -> Result:
        """Decode and read one picture when it is the client's turn.

        Args:
            data: An encoded picture.
            client: The sender; its deadline and connection bound every wait.
            trace: Receives the time of each stage.

        Raises:
            KeylikeError: The picture cannot be decoded, the client no longer waits, or the engine is
                overloaded or closed.
            Exception: The reader failed.
        """

    def waiting_since(self) -> list[float]:
        """Return the time of arrival of each photo that holds a turn but waits for the reader."""

    def close(self, timeout_s: float = 5.0) -> bool:
        """Stop the engine; return True if nothing is left running after `timeout_s` seconds."""
