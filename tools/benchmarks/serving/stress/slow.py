"""Two hundred connections that trickle: what they cost those who send their photos at once, and when they are hung up on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from tools.benchmarks.serving.load import Shot, together
from tools.benchmarks.serving.photos import Stream
from tools.benchmarks.serving.stress.contract import Outcome, Terms
from tools.benchmarks.serving.stress.server import Server
from tools.benchmarks.serving.stress.wire import Wire, head

_HEADERS = _BODIES = 100
# A byte of each connection; all of them together send two hundred a second.
_EVERY_S = 1.0
_ROUNDS, _ROUND_S, _QUICK_S = 2, 8.0, 3.0
_TIMES = 2.0
# The read deadline of the server, which is looked after once a second.
_HUNG_UP_S = (60.0, 63.0)
_WATCHED = 5


async def _trickle(port: int, begun: bytes, later_s: float = 0.0) -> float:
    """Seconds until it is hung up on."""
    await asyncio.sleep(later_s)
    wire = await Wire.connect(port)
    began = time.monotonic()
    try:
        with suppress(ConnectionError):
            await wire.send(begun)
            while await wire.quiet(_EVERY_S):
                await wire.send(b"y")
    finally:
        wire.close()
    return time.monotonic() - began


def _trickling(port: int, headers: int, bodies: int) -> list[Coroutine[Any, Any, float]]:
    """Spread over the second, so that they do not all speak at once."""
    begun = [b"POST /predict HTTP/1.1\r\nHost: keylike\r\nX-Slow: "] * headers + [
        head(100_000)
    ] * bodies
    return [_trickle(port, start, at / len(begun) * _EVERY_S) for at, start in enumerate(begun)]


async def _in_turns(server: Server, photos: Stream, callers: int, seconds: float) -> dict[str, Any]:
    """Without and with the slow ones in turns, so that what drifts on the machine drifts for both."""
    without: list[Shot] = []
    beside: list[Shot] = []
    still_there = 0
    for _ in range(_ROUNDS):
        without += await together(f"{server.url}/predict", lambda: next(photos), callers, seconds)
        slow = [asyncio.create_task(each) for each in _trickling(server.port, _HEADERS, _BODIES)]
        await asyncio.sleep(1.5 * _EVERY_S)
        beside += await together(f"{server.url}/predict", lambda: next(photos), callers, seconds)
        still_there += sum(not each.done() for each in slow)
        for each in slow:
            each.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
    usual, then = _p95_ms(without), _p95_ms(beside)
    failed = sum(shot.status != 200 for shot in without + beside)
    return {
        "p95_ms": usual,
        "p95_ms_beside": then,
        "times": then / usual,
        "failed": failed,
        "slow_connections": still_there // _ROUNDS,
    }


def _p95_ms(shots: list[Shot]) -> float:
    taken = sorted(shot.seconds for shot in shots)
    return 1e3 * taken[int(0.95 * (len(taken) - 1))]


async def _idle_cpu(server: Server, seconds: float) -> float:
    """Share of a core that the slow ones alone take."""
    slow = [asyncio.create_task(each) for each in _trickling(server.port, _HEADERS, _BODIES)]
    await asyncio.sleep(1.5 * _EVERY_S)
    before = server.watch.cpu_s()
    await asyncio.sleep(seconds)
    share = (server.watch.cpu_s() - before) / seconds
    for each in slow:
        each.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    return share


async def _hung_up(server: Server) -> list[float]:
    async with asyncio.timeout(2 * _HUNG_UP_S[1]):
        return sorted(await asyncio.gather(*_trickling(server.port, _WATCHED, _WATCHED)))


def slow(terms: Terms) -> Outcome:
    """With one caller and with two; the minute until the slow are hung up on is left out where it must be quick."""
    figures: dict[str, Any] = {}
    targets: dict[str, bool] = {}
    photos, seconds = Stream(list(terms.photos("640x480"))), _QUICK_S if terms.quick else _ROUND_S
    with Server(terms.work / "slow") as server:
        asyncio.run(together(f"{server.url}/predict", lambda: next(photos), 2, 2.0))
        for callers in (2, 1):
            figures[f"{callers} callers"] = found = asyncio.run(
                _in_turns(server, photos, callers, seconds)
            )
            targets[f"{callers} callers: p95 within {_TIMES:g} times its usual value"] = (
                found["times"] <= _TIMES and not found["failed"]
            )
        figures["cores_for_the_slow_alone"] = asyncio.run(_idle_cpu(server, seconds))
        if not terms.quick:
            gone = asyncio.run(_hung_up(server))
            figures["hung_up_on_after_s"] = [gone[0], gone[-1]]
            targets["hung up on after the read deadline"] = (
                _HUNG_UP_S[0] <= gone[0] and gone[-1] <= _HUNG_UP_S[1]
            )
    return Outcome(figures, targets)
