"""A real server whose reader fails as a test decides, and whose clock a test advances."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

from keylike.images.photo import Photo
from keylike.readers.contract import Reading, Unreadable
from keylike.service import Service
from keylike.settings import Settings
from tests.fakes import ColourReader
from tests.running import Running, until
from tools.plain_pictures import RED, plain

PATIENCE_S = 20
Answer = tuple[int, str | None, dict[str, Any]]


class FaultyReader(ColourReader):
    """A reader that calls `fault` instead of reading, or reads normally if `fault` is None.

    Attributes:
        threads: The identifier of the thread of each call.
        hanging: A semaphore that each hanging call releases.
        resume: An event that ends all hanging calls.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fault: Callable[[Sequence[Photo]], object] | None = None
        self.threads: list[int] = []
        self.hanging = threading.Semaphore(0)
        self.resume = threading.Event()

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Record the thread, then read the photos or fail."""
        self.threads.append(threading.get_ident())
        if self.fault is None:
            return super().read(photos)
        return cast("list[Reading | Unreadable]", self.fault(photos))

    def hang(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Block until `resume` is set; use this method as a fault."""
        self.hanging.release()
        assert self.resume.wait(PATIENCE_S)
        return super().read(photos)


class FaultServer(Running):
    """A server in a thread of this process.

    The server measures all durations with `now`, in seconds, which a test sets. `wall` returns the
    time of day.
    """

    def __init__(
        self, settings: Settings, wall: Callable[[], float] = lambda: 1_795_000_000.0
    ) -> None:
        settings = settings.model_copy(update={"port": 0})
        self.now, self.reader = 0.0, FaultyReader()
        self.service = Service(
            settings, load=lambda: self.reader, clock=lambda: self.now, wall=wall
        )
        self.service.load()
        self.cache = self.service.cache
        self.server = self.service.listen()
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        self.clients = ThreadPoolExecutor(32)
        self._sizes = iter(range(40, 4000))

    def photo(self, colour: tuple[int, int, int] = RED) -> bytes:
        """Return a new photo, which is not in the cache."""
        return plain(colour, size=(next(self._sizes), 40))

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "image/jpeg",
        client: int = 1,
    ) -> Answer:
        """Send one request and return the status, the header Retry-After and the body."""
        connection = self.connect(client)
        connection.request(method, path, body, {"Content-Type": kind} if body else {})
        response = connection.getresponse()
        answer = response.status, response.headers["Retry-After"], json.loads(response.read())
        connection.close()
        return answer

    def post(self, photo: bytes | None = None, client: int = 1) -> Answer:
        """Post a photo, by default a new one, and return what `request` returns."""
        return self.request("POST", "/predict", photo or self.photo(), client=client)

    def post_many(self, count: int) -> list[Future[Answer]]:
        """Post a new photo from each of `count` clients. Return when all have been admitted."""
        posted = [
            self.clients.submit(self.post, self.photo(), client) for client in range(1, count + 1)
        ]
        until(lambda: self.service.slots.admitted == count)
        return posted

    def stop(self) -> None:
        """End all faults, wait for all clients and stop the server."""
        self.reader.fault = None
        self.reader.resume.set()
        self.clients.shutdown()
        super().stop()
