"""A real server in a thread of the test process, and a reader that can be paused."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Sequence

from keylike.images.photo import Photo
from keylike.readers.contract import Reading, Unreadable
from keylike.service import Service
from keylike.settings import Settings
from tests.fakes import ColourReader


def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition is true. Fail after 20 seconds."""
    limit, nothing = time.monotonic() + 20, threading.Event()
    while not condition():
        assert time.monotonic() < limit, "the condition did not become true within 20 seconds"
        nothing.wait(0.001)


class PatientReader(ColourReader):
    """A colour reader that waits until `allowed` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.allowed = threading.Event(), threading.Event()
        self.photos = 0

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Wait until reading is allowed, then read."""
        self.photos += len(photos)
        self.asked.set()
        assert self.allowed.wait(20)
        return super().read(photos)


class Running:
    """A server in a thread of this process, with a reader of the test."""

    def __init__(self, settings: Settings, reader: ColourReader) -> None:
        settings = settings.model_copy(update={"port": 0})
        self.now = 0.0
        self.service = Service(settings, load=lambda: reader)
        self.service.load()
        self.server = self.service.listen(clock=lambda: self.now)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()

    def connect(self, client: int = 1) -> http.client.HTTPConnection:
        """Return a new connection from the loopback address 127.0.0.`client`."""
        source = (f"127.0.0.{client}", 0)
        return http.client.HTTPConnection(
            "127.0.0.1", self.server.port, timeout=20, source_address=source
        )

    def wait_a_turn(self) -> None:
        """Send two requests. After them, the event loop has processed everything sent before."""
        for _ in range(2):
            connection = self.connect()
            connection.request("GET", "/health/live")
            assert connection.getresponse().status == 200
            connection.close()

    def stop(self) -> None:
        """Stop the server and wait for its end."""
        self.server.stop()
        self.wait_until_stopped()
        self.service.close()

    def wait_until_stopped(self) -> None:
        """Advance the clock until the server has closed all idle connections and stopped."""

        def has_stopped() -> bool:
            self.now += 0.1
            return not self.thread.is_alive()

        until(has_stopped)
