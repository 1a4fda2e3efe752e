"""Stop scenario: SIGTERM while 16 clients send photos as fast as they can.

It measures which requests are answered and how long the shutdown takes.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tools.benchmarks.serving.photos import PhotoStream
from tools.benchmarks.serving.stress.connection import Connection, Response, TruncatedResponse, head
from tools.benchmarks.serving.stress.contract import Outcome, ScenarioOptions
from tools.benchmarks.serving.stress.server import Server

_CLIENTS = 16
_BEFORE_S = 3.0  # seconds under load before SIGTERM
# Longest allowed shutdown in seconds. Reading the 16 photos in progress takes one or two seconds. A
# much longer shutdown would mean that the server accepts new photos.
_STOP_LIMIT_S = 10.0
# Photos in progress at the second SIGTERM. Reading them takes several seconds on two cores, so the
# server cannot have finished by itself.
_IN_FLIGHT = 48
_IMMEDIATE_S = 2.0  # longest allowed time in seconds between the second SIGTERM and the end
_REPEATS = 5  # number of tests with a second SIGTERM
_STATUS = 128 + signal.SIGTERM  # expected exit status after a second SIGTERM


class RequestResult(StrEnum):
    """Outcome of a request."""

    READ = "read"  # status 200
    REFUSED = "refused"  # status 503 with Retry-After
    OTHER = "other_status"
    LOST = "lost"  # sent completely before SIGTERM, and not answered
    CUT = "cut"  # started before SIGTERM, not sent completely before it, and not answered
    TRUNCATED = "truncated"  # the response is incomplete
    # Started after SIGTERM on a connection that the server then closed. HTTP allows this, and
    # clients retry.
    LATE = "late"


FAILURES = (RequestResult.OTHER, RequestResult.LOST, RequestResult.CUT, RequestResult.TRUNCATED)


@dataclass(slots=True)
class RequestTimes:
    """Times in seconds at which the first and the last byte of a request were sent.

    `completed` is None if the last byte was not sent.
    """

    began: float
    completed: float | None = None

    def outcome(self, response: Response | None, stopped: float) -> RequestResult:
        """Classify the request.

        Args:
            response: Response, or None if there was none.
            stopped: Time at which SIGTERM was sent.
        """
        if response is not None:
            if response.status == 200:
                return RequestResult.READ
            refused = response.status == 503 and response.retry_after
            return RequestResult.REFUSED if refused else RequestResult.OTHER
        if self.completed is not None and self.completed < stopped:
            return RequestResult.LOST
        return RequestResult.CUT if self.began < stopped else RequestResult.LATE


@dataclass(slots=True)
class Clients:
    """Concurrent clients, and the outcomes of their requests.

    Attributes:
        port: Port of the server.
        photos: Photos to send.
        stopped: Time at which SIGTERM was sent, or infinity before it is sent.
        before: Number of outcomes before SIGTERM.
        after: Number of outcomes after SIGTERM.
    """

    port: int
    photos: PhotoStream
    stopped: float = float("inf")
    before: Counter[RequestResult] = field(default_factory=Counter)
    after: Counter[RequestResult] = field(default_factory=Counter)

    async def send(self) -> None:
        """Run one client until the server no longer accepts connections.

        The client uses one connection until the server closes it.
        """
        connection: Connection | None = None
        while True:
            try:
                connection = connection or await Connection.connect(self.port)
            except OSError:
                return
            if not await self._send_photo(connection):
                connection.close()
                connection = None

    async def _send_photo(self, connection: Connection) -> bool:
        """Send one photo, count the outcome, and return True if the connection stays open."""
        photo, sent, response = next(self.photos), RequestTimes(time.monotonic()), None
        with suppress(ConnectionError):  # a response may have arrived anyway
            await connection.send(head(len(photo)))
            await connection.send(photo)
            sent.completed = time.monotonic()
        try:
            response = await connection.response()
            outcome = sent.outcome(response, self.stopped)
        except TruncatedResponse:
            outcome = RequestResult.TRUNCATED
        (self.before if time.monotonic() < self.stopped else self.after)[outcome] += 1
        return response is not None and not response.closes


async def _under_load(server: Server, photos: PhotoStream) -> dict[str, Any]:
    clients = Clients(server.port, photos)
    sending = [asyncio.create_task(clients.send()) for _ in range(_CLIENTS)]
    await asyncio.sleep(_BEFORE_S)
    clients.stopped = time.monotonic()
    server.signal()
    status = await asyncio.to_thread(server.wait_until_ended)
    seconds = time.monotonic() - clients.stopped
    await asyncio.gather(*sending)
    return {
        "stop_s": seconds,
        "exit_status": status,
        "before": dict(clients.before),
        "after": dict(clients.after),
        "failures": sum((clients.before + clients.after)[outcome] for outcome in FAILURES),
    }


async def _second_signal(server: Server, photos: PhotoStream) -> dict[str, Any]:
    """Send a second SIGTERM while the server still reads photos."""
    connections = [await Connection.connect(server.port) for _ in range(_IN_FLIGHT)]
    for connection in connections:
        photo = next(photos)
        await connection.send(head(len(photo)) + photo)
    server.signal()
    await asyncio.sleep(0.2)
    in_flight = server.process.poll() is None
    began = time.monotonic()
    server.signal()
    status = await asyncio.to_thread(server.wait_until_ended)
    seconds = time.monotonic() - began
    for connection in connections:
        connection.close()
    return {"in_flight": in_flight, "stop_s": seconds, "exit_status": status}


def stop(options: ScenarioOptions) -> Outcome:
    """Shut down while clients send small photos, large photos, and with a second SIGTERM.

    The test with a second SIGTERM is repeated, because the result depends on what the server does
    at that moment.
    """
    figures: dict[str, Any] = {}
    targets: dict[str, bool] = {}
    for size in ("640x480", "12 MP"):
        with Server(options.work / "stop") as server:
            figures[size] = result = asyncio.run(
                _under_load(server, PhotoStream(list(options.photos(size))))
            )
        targets[f"{size}: every accepted request is answered"] = result["failures"] == 0
        targets[f"{size}: exit status 0"] = result["exit_status"] == 0
        targets[f"{size}: ends within {_STOP_LIMIT_S:g} s"] = result["stop_s"] <= _STOP_LIMIT_S
    figures["second signal"] = attempts = []
    for _ in range(_REPEATS):
        with Server(options.work / "stop") as server:
            attempts.append(
                asyncio.run(_second_signal(server, PhotoStream(list(options.photos("12 MP")))))
            )
    targets["a second signal stops the server immediately"] = all(
        attempt["in_flight"] and attempt["stop_s"] <= _IMMEDIATE_S for attempt in attempts
    )
    targets[f"a second signal gives exit status {_STATUS}"] = all(
        attempt["exit_status"] == _STATUS for attempt in attempts
    )
    return Outcome(figures, targets)
