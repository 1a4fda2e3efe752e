"""The real server in a thread of the test's process, before a reader that reads when it may."""

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


def until(so: Callable[[], bool]) -> None:
    """Comes back once it is so, by looking again and again."""
    limit, nothing = time.monotonic() + 20, threading.Event()
    while not so():
        assert time.monotonic() < limit, "it did not come to be"
        nothing.wait(0.001)


class PatientReader(ColourReader):
    """Reads only once it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.allowed = threading.Event(), threading.Event()
        self.photos = 0

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Waits, then reads."""
        self.photos += len(photos)
        self.asked.set()
        assert self.allowed.wait(20)
        return super().read(photos)


class Running:
    """A server in a thread of this process."""

    def __init__(self, settings: Settings, reader: ColourReader) -> None:
        settings = settings.model_copy(update={"port": 0})
        self.now = 0.0
        self.service = Service(settings, load=lambda: reader)
        self.service.load()
        self.server = self.service.listen(clock=lambda: self.now)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()

    def connect(self) -> http.client.HTTPConnection:
        """A connection of one's own."""
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)

    def wait_a_turn(self) -> None:
        """Asks twice: when the second answer is there, all that was sent before has been seen and judged."""
        for _ in range(2):
            connection = self.connect()
            connection.request("GET", "/health/live")
            assert connection.getresponse().status == 200
            connection.close()

    def stop(self) -> None:
        """Stops and waits for the end."""
        self.server.stop()
        self.thread.join(20)
        self.service.close()
        assert not self.thread.is_alive()
