"""The real server before a reader that does whatever a test tells it, at a time that goes on when it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

from keylike.api.error_handlers import socket_failures
from keylike.images.photo import Photo
from keylike.observability.logs import make_logger
from keylike.readers.contract import Reading, Unreadable
from keylike.readers.loading import ModelSlot
from keylike.scheduling.scheduler import Scheduler
from keylike.service import create_app, make_server, reading_cache
from keylike.settings import Settings
from tests.fakes import ColourReader
from tests.running import Running, until
from tools.plain_pictures import RED, plain

PATIENCE_S = 20
Answer = tuple[int, str | None, dict[str, Any]]


class FaultyReader(ColourReader):
    """Gives what `fault` gives for the photos, or raises what it raises; reads well where that is None."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Callable[[Sequence[Photo]], object] | None = None
        self.threads: list[int] = []
        self.held = threading.Semaphore(0)
        self.let_go = threading.Event()

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Does as it is told."""
        self.threads.append(threading.get_ident())
        if self.fault is None:
            return super().read(photos)
        return cast("list[Reading | Unreadable]", self.fault(photos))

    def hang(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """A fault: does not come back before it is let go."""
        self.held.release()
        assert self.let_go.wait(PATIENCE_S)
        return super().read(photos)


class Bench(Running):
    """A server in a thread of this process; all that counts seconds in it counts by `now`, and `wall` is its time of day."""

    def __init__(
        self, settings: Settings, wall: Callable[[], float] = lambda: 1_795_000_000.0
    ) -> None:
        settings = settings.model_copy(update={"port": 0})
        self.now, self.reader = 0.0, FaultyReader()
        model = ModelSlot(lambda: self.reader)
        model.load()
        draining, log = threading.Event(), make_logger(settings.logs)
        clock = lambda: self.now  # noqa: E731
        how = {"queue": settings.queue, "threads": settings.threads}
        self.scheduler = Scheduler(model.reader, **how, longest_s=settings.deadline_s, clock=clock)
        self.cache = reading_cache(settings, log, clock)
        wired = {
            "model": model,
            "log": log,
            "scheduler": self.scheduler,
            "cache": self.cache,
            "clock": wall,
        }
        app = create_app(settings, **wired, draining=draining.is_set)  # type: ignore[arg-type]
        failure = socket_failures(wall, log)
        self.server = make_server(
            app, settings, self.scheduler, failure=failure, draining=draining, clock=clock
        )
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        self.callers = ThreadPoolExecutor(32)
        self._sizes = iter(range(40, 4000))

    def photo(self, colour: tuple[int, int, int] = RED) -> bytes:
        """Another one each time, so that no cache knows it."""
        return plain(colour, size=(next(self._sizes), 40))

    def ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = "image/jpeg"
    ) -> Answer:
        """Status, Retry-After and body."""
        connection = self.connect()
        connection.request(method, path, body, {"Content-Type": kind} if body else {})
        response = connection.getresponse()
        answer = response.status, response.headers["Retry-After"], json.loads(response.read())
        connection.close()
        return answer

    def post(self, photo: bytes | None = None) -> Answer:
        """What comes of a photo, of one that nobody knows unless it is given."""
        return self.ask("POST", "/predict", photo or self.photo())

    def posting(self, photos: int) -> list[Future[Answer]]:
        """So many callers, each with a photo; returns when all are inside."""
        asked = [
            self.callers.submit(self.post, photo) for photo in [self.photo() for _ in range(photos)]
        ]
        until(lambda: self.scheduler._door._inside == photos)
        return asked

    def stop(self) -> None:
        """Lets everybody go, and waits for the end."""
        self.reader.fault = None
        self.reader.let_go.set()
        self.callers.shutdown()
        super().stop()
