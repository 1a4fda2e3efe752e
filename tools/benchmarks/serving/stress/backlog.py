"""Requests that the machine has as a whole, and the server has not looked at yet, when the signal comes: they were accepted, too."""

from __future__ import annotations

import asyncio
from collections import Counter

from tools.benchmarks.serving.photos import Stream
from tools.benchmarks.serving.stress.contract import Outcome, Terms
from tools.benchmarks.serving.stress.server import Server
from tools.benchmarks.serving.stress.wire import Torn, Wire, head

_REQUESTS = 16


async def _wires(port: int) -> list[Wire]:
    return [await Wire.connect(port) for _ in range(_REQUESTS)]


async def _make_known(wires: list[Wire]) -> None:
    """By a request each, which the server answers."""
    for wire in wires:
        await wire.send(b"GET /health/live HTTP/1.1\r\nHost: keylike\r\n\r\n")
        await wire.answer()


async def _unseen(server: Server, photos: Stream, *, known: bool) -> dict[str, int]:
    """The server is held still while photos and then the signal are sent: what a busy processor does to it, for certain."""
    wires = await _wires(server.port) if known else []
    await _make_known(wires)
    server.hold_still()
    wires = wires or await _wires(server.port)
    for wire in wires:
        photo = next(photos)
        await wire.send(head(len(photo)) + photo)
    server.signal()
    server.go_on()
    told = Counter([await _told(wire) for wire in wires])
    await asyncio.to_thread(server.ended)
    return dict(told)


async def _told(wire: Wire) -> str:
    try:
        answer = await wire.answer()
    except Torn:
        return "torn"
    finally:
        wire.close()
    return str(answer.status) if answer else "lost"


def backlog(terms: Terms) -> Outcome:
    """On connections that the server knows, and on new ones."""
    figures: dict[str, dict[str, int]] = {}
    photos = Stream(list(terms.photos("640x480")))
    for name, known in (("known connections", True), ("new connections", False)):
        with Server(terms.work / "backlog") as server:
            figures[name] = asyncio.run(_unseen(server, photos, known=known))
    return Outcome(
        dict(figures),
        {
            f"{name}: all are answered": found == {"200": _REQUESTS}
            for name, found in figures.items()
        },
    )
