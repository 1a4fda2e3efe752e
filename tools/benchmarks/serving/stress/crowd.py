"""Crowd scenario: many idle keep-alive connections, which reconnect when the server closes them.

It measures how much they delay photos of other clients. The numbers of idle connections are a
little above the server's limit of 512 connections, and four times the limit.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from tools.benchmarks.serving.load import RequestOutcome, closed_loop
from tools.benchmarks.serving.photos import PhotoStream
from tools.benchmarks.serving.stress.connection import Connection, TruncatedResponse
from tools.benchmarks.serving.stress.contract import Outcome, ScenarioOptions
from tools.benchmarks.serving.stress.server import Server

_LIVE = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_CROWDS = (530, 2000)  # numbers of idle connections
_RECONNECT_S = 1.0  # seconds between the end of a connection and the next attempt
_CLIENTS = 2  # clients that send photos
# Number of rounds, and seconds per measurement in a normal and in a quick run.
_ROUNDS, _ROUND_S, _QUICK_S = 3, 8.0, 3.0
# Largest allowed 95th percentile of the latency, as a multiple of that without idle connections.
_FACTOR = 2.0
_PROBES = 20  # health checks per round


class _Crowd:
    """Idle connections. Each sends one request and then stays open without another request.

    `connected` counts the connections that were opened.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.connected = 0

    async def hold(self, delay_s: float) -> None:
        """Hold one idle connection. When the server closes it, open a new one after a second.

        The first connection is opened after `delay_s` seconds.
        """
        await asyncio.sleep(delay_s)
        while True:
            with suppress(OSError, TruncatedResponse):
                connection = await Connection.connect(self._port)
                self.connected += 1
                try:
                    await connection.send(_LIVE)
                    if await connection.response() is not None:
                        await connection.quiet(3600)
                finally:
                    connection.close()
            await asyncio.sleep(_RECONNECT_S)


@asynccontextmanager
async def _held(port: int, size: int) -> AsyncIterator[_Crowd]:
    """Hold `size` idle connections inside the context."""
    crowd = _Crowd(port)
    tasks = [asyncio.create_task(crowd.hold(number / size)) for number in range(size)]
    try:
        await asyncio.sleep(2 * _RECONNECT_S)
        yield crowd
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _probe_health(port: int) -> float:
    """Return the seconds that a health check from another client address takes.

    It is infinite if the status is not 200.
    """
    began = time.monotonic()
    connection = await Connection.connect(port, "127.0.0.2")
    try:
        await connection.send(_LIVE)
        response = await connection.response()
    finally:
        connection.close()
    return time.monotonic() - began if response and response.status == 200 else float("inf")


async def _compare(server: Server, photos: PhotoStream, size: int, seconds: float) -> Any:
    """Measure photos alternately without and with `size` idle connections.

    The measurements alternate, because the speed of a machine drifts. Each one lasts `seconds`.
    """

    async def measure() -> list[RequestOutcome]:
        return await closed_loop(f"{server.url}/predict", lambda: next(photos), _CLIENTS, seconds)

    quiet: list[RequestOutcome] = []
    crowded: list[RequestOutcome] = []
    connected = 0
    health: list[float] = []
    for _ in range(_ROUNDS):
        quiet += await measure()
        async with _held(server.port, size) as crowd:
            crowded += await measure()
            health += [await _probe_health(server.port) for _ in range(_PROBES)]
            connected += crowd.connected
    return {
        "p95_ms": _p95_ms(quiet),
        "p95_ms_crowded": _p95_ms(crowded),
        "factor": _p95_ms(crowded) / _p95_ms(quiet),
        "photos": len(quiet),
        "photos_crowded": len(crowded),
        "failed": sum(outcome.status != 200 for outcome in quiet + crowded),
        "connected": connected // _ROUNDS,
        "health_ms": {"median": 1e3 * statistics.median(health), "max": 1e3 * max(health)},
    }


def _p95_ms(outcomes: list[RequestOutcome]) -> float:
    seconds = sorted(outcome.seconds for outcome in outcomes)
    return 1e3 * seconds[int(0.95 * (len(seconds) - 1))]


def crowd(options: ScenarioOptions) -> Outcome:
    """Test with 530 and with 2,000 idle connections from one address."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    figures: dict[str, Any] = {}
    targets: dict[str, bool] = {}
    photos = PhotoStream(list(options.photos("640x480")))
    with Server(options.work / "crowd") as server:
        # Raise the limit of open files for this process only: the server is already running.
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
        asyncio.run(closed_loop(f"{server.url}/predict", lambda: next(photos), 2, 2.0))
        for size in _CROWDS:
            seconds = _QUICK_S if options.quick else _ROUND_S
            result = asyncio.run(_compare(server, photos, size, seconds))
            figures[f"{size} connections"] = result
            targets[f"{size}: p95 at most {_FACTOR:g} times its quiet value"] = (
                result["factor"] <= _FACTOR
            )
            targets[f"{size}: no photo fails"] = not result["failed"]
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return Outcome(figures, targets)
