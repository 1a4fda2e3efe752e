"""Half-sent scenario: 300 connections announce a body of 14 MB, send half of it, and wait.

It measures the server's memory, and whether other clients are still served.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

from tools.benchmarks.serving.load import closed_loop
from tools.benchmarks.serving.photos import PhotoStream
from tools.benchmarks.serving.stress.connection import Connection, head
from tools.benchmarks.serving.stress.contract import Outcome, ScenarioOptions
from tools.benchmarks.serving.stress.memory import MB
from tools.benchmarks.serving.stress.response_counts import REFUSED, count_responses
from tools.benchmarks.serving.stress.server import Server

_CONNECTIONS, _QUICK_CONNECTIONS = 300, 100  # connections in a normal and in a quick run
# Announced size of a body in bytes. The server accepts bodies of this size.
_ANNOUNCED = 14_000_000
_HALF = bytes(_ANNOUNCED // 2)
# Seconds that the connections may take to send their half, and seconds of the load afterwards.
_SEND_TIMEOUT_S, _SECONDS = 20.0, 8.0
_PEAK_LIMIT_MB = 1000  # largest allowed peak memory


async def _hold(port: int, sent: asyncio.Semaphore, end: asyncio.Event) -> str:
    """Send half of a request, wait for a response or for `end`, and return the outcome.

    `sent` is released when the half is sent, or when the server has closed the connection.
    """
    connection = await Connection.connect(port)
    with suppress(ConnectionError):  # a response may have arrived anyway
        await connection.send(head(_ANNOUNCED))
        await connection.send(_HALF)
    sent.release()
    response, ended = (
        asyncio.ensure_future(connection.response()),
        asyncio.ensure_future(end.wait()),
    )
    await asyncio.wait({response, ended}, return_when=asyncio.FIRST_COMPLETED)
    if not response.done():
        outcome = "waiting"
    else:
        answered = response.result()
        outcome = str(answered.status) if answered else "closed"
    for each in (response, ended):
        each.cancel()
    await asyncio.gather(response, ended, return_exceptions=True)
    connection.close()
    return outcome


async def _serve_others(
    server: Server, connections: int, photos: PhotoStream, large: PhotoStream
) -> dict[str, Any]:
    """Hold the half-sent requests while other clients send photos.

    Two clients send photos of 640x480 pixels (`photos`), one sends photos of 12 megapixels
    (`large`).
    """
    sent, end = asyncio.Semaphore(0), asyncio.Event()
    tasks = [asyncio.create_task(_hold(server.port, sent, end)) for _ in range(connections)]
    # If the server stops reading from a connection, its half is never sent completely.
    with suppress(TimeoutError):
        async with asyncio.timeout(_SEND_TIMEOUT_S):
            for _ in tasks:
                await sent.acquire()
    url = f"{server.url}/predict"
    outcomes, large_outcomes = await asyncio.gather(
        closed_loop(url, lambda: next(photos), 2, _SECONDS),
        closed_loop(url, lambda: next(large), 1, _SECONDS),
    )
    peak = server.monitor.peak
    end.set()
    done, stuck = await asyncio.wait(tasks, timeout=1.0)
    for each in stuck:
        each.cancel()
    connection_outcomes = Counter(each.result() for each in done) + Counter(
        {"not read completely": len(stuck)}
    )
    return {
        "connections": dict(connection_outcomes),
        "responses": count_responses(outcomes),
        "responses_12_mp": count_responses(large_outcomes),
        "peak_mb": peak / MB,
    }


def half_sent(options: ScenarioOptions) -> Outcome:
    """Send small photos, which must be read, and 12-megapixel photos, which may be refused.

    The server refuses a large body if all bodies together would exceed its memory budget.
    """
    photos, large = (PhotoStream(list(options.photos(size))) for size in ("640x480", "12 MP"))
    with Server(options.work / "half-sent", KEYLIKE_CONNECTIONS_PER_ADDRESS="512") as server:
        before = server.monitor.memory() / MB
        result = asyncio.run(
            _serve_others(
                server, _QUICK_CONNECTIONS if options.quick else _CONNECTIONS, photos, large
            )
        )
    targets = {
        "captures are read": set(result["responses"]) == {"200"},
        "large photos are read or refused with Retry-After": set(result["responses_12_mp"])
        <= {"200", REFUSED},
        f"peak at most {_PEAK_LIMIT_MB} MB": result["peak_mb"] <= _PEAK_LIMIT_MB,
    }
    return Outcome({"before_mb": before, **result}, targets)
