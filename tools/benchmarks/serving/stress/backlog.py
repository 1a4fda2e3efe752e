"""Backlog scenario: SIGTERM arrives while the kernel holds requests that the server has not read.

The clients cannot know that the server has not read their requests yet. So it must answer them.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from tools.benchmarks.serving.photos import PhotoStream
from tools.benchmarks.serving.stress.connection import Connection, TruncatedResponse, head
from tools.benchmarks.serving.stress.contract import Outcome, ScenarioOptions
from tools.benchmarks.serving.stress.server import Server

_REQUESTS = 16  # number of connections, each with one request


async def _connect(port: int) -> list[Connection]:
    return [await Connection.connect(port) for _ in range(_REQUESTS)]


async def _exchange_once(connections: list[Connection]) -> None:
    """Send one request on each connection and wait for the response."""
    for connection in connections:
        await connection.send(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await connection.response()


async def _stop_with_backlog(
    server: Server, photos: PhotoStream, *, connected: bool
) -> dict[str, int]:
    """Suspend the server, send photos and SIGTERM, resume the server, and count the outcomes.

    Without suspending it, this order of events would only occur by chance, on a busy processor.

    Args:
        server: The running server.
        photos: Photos to send.
        connected: True if the connections are opened before the server is suspended.
    """
    connections = await _connect(server.port) if connected else []
    await _exchange_once(connections)
    server.suspend()
    connections = connections or await _connect(server.port)
    for connection in connections:
        photo = next(photos)
        await connection.send(head(len(photo)) + photo)
    server.signal()
    server.resume()
    outcomes = Counter([await _outcome(connection) for connection in connections])
    await asyncio.to_thread(server.wait_until_ended)
    return dict(outcomes)


async def _outcome(connection: Connection) -> str:
    try:
        response = await connection.response()
    except TruncatedResponse:
        return "truncated"
    finally:
        connection.close()
    return str(response.status) if response else "lost"


def backlog(options: ScenarioOptions) -> Outcome:
    """Test connections that the server has accepted before it is suspended, and later ones."""
    figures: dict[str, dict[str, int]] = {}
    photos = PhotoStream(list(options.photos("640x480")))
    for name, connected in (("open connections", True), ("new connections", False)):
        with Server(options.work / "backlog") as server:
            figures[name] = asyncio.run(_stop_with_backlog(server, photos, connected=connected))
    return Outcome(
        dict(figures),
        {
            f"{name}: all requests are answered": counts == {"200": _REQUESTS}
            for name, counts in figures.items()
        },
    )
