"""Slow-clients scenario: 200 connections that send one byte per second.

It measures their cost for other clients, and when the server closes them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from tools.benchmarks.serving.load import RequestOutcome, closed_loop
from tools.benchmarks.serving.photos import PhotoStream
from tools.benchmarks.serving.stress.connection import Connection, head
from tools.benchmarks.serving.stress.contract import Outcome, ScenarioOptions
from tools.benchmarks.serving.stress.server import Server

_HEADERS = _BODIES = 100
# One byte per connection; all connections together send 200 per second.
_INTERVAL_S = 1.0
_ROUNDS, _ROUND_S, _QUICK_S = 2, 8.0, 3.0
_FACTOR = 2.0
# The read deadline of the server, which checks it once per second.
_CLOSED_AFTER_S = (60.0, 63.0)
_OBSERVED = 5


async def _send_slowly(port: int, beginning: bytes, delay_s: float = 0.0) -> float:
    """Return the seconds until the server closes the connection."""
    await asyncio.sleep(delay_s)
    connection = await Connection.connect(port)
    began = time.monotonic()
    try:
        with suppress(ConnectionError):
            await connection.send(beginning)
            while await connection.quiet(_INTERVAL_S):
                await connection.send(b"y")
    finally:
        connection.close()
    return time.monotonic() - began


def _slow_connections(port: int, headers: int, bodies: int) -> list[Coroutine[Any, Any, float]]:
    """Return slow connections whose start is spread over one second."""
    beginnings = [b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "] * headers + [
        head(100_000)
    ] * bodies
    return [
        _send_slowly(port, beginning, at / len(beginnings) * _INTERVAL_S)
        for at, beginning in enumerate(beginnings)
    ]


async def _compare(
    server: Server, photos: PhotoStream, clients: int, seconds: float
) -> dict[str, Any]:
    """Measure with and without slow connections in alternating turns, because the machine's speed
    drifts."""
    without: list[RequestOutcome] = []
    with_slow: list[RequestOutcome] = []
    still_open = 0
    for _ in range(_ROUNDS):
        without += await closed_loop(
            f"{server.url}/predict", lambda: next(photos), clients, seconds
        )
        slow_clients = [
            asyncio.create_task(each) for each in _slow_connections(server.port, _HEADERS, _BODIES)
        ]
        await asyncio.sleep(1.5 * _INTERVAL_S)
        with_slow += await closed_loop(
            f"{server.url}/predict", lambda: next(photos), clients, seconds
        )
        still_open += sum(not each.done() for each in slow_clients)
        for each in slow_clients:
            each.cancel()
        await asyncio.gather(*slow_clients, return_exceptions=True)
    usual_p95, slow_p95 = _p95_ms(without), _p95_ms(with_slow)
    failed = sum(outcome.status != 200 for outcome in without + with_slow)
    return {
        "p95_ms": usual_p95,
        "p95_ms_with_slow": slow_p95,
        "factor": slow_p95 / usual_p95,
        "failed": failed,
        "slow_connections": still_open // _ROUNDS,
    }


def _p95_ms(outcomes: list[RequestOutcome]) -> float:
    seconds = sorted(outcome.seconds for outcome in outcomes)
    return 1e3 * seconds[int(0.95 * (len(seconds) - 1))]


async def _idle_cpu(server: Server, seconds: float) -> float:
    """Return the share of a core that the slow connections take with no other load."""
    slow_clients = [
        asyncio.create_task(each) for each in _slow_connections(server.port, _HEADERS, _BODIES)
    ]
    await asyncio.sleep(1.5 * _INTERVAL_S)
    before = server.monitor.cpu_s()
    await asyncio.sleep(seconds)
    share = (server.monitor.cpu_s() - before) / seconds
    for each in slow_clients:
        each.cancel()
    await asyncio.gather(*slow_clients, return_exceptions=True)
    return share


async def _closing_times(server: Server) -> list[float]:
    async with asyncio.timeout(2 * _CLOSED_AFTER_S[1]):
        return sorted(await asyncio.gather(*_slow_connections(server.port, _OBSERVED, _OBSERVED)))


def slow_clients(options: ScenarioOptions) -> Outcome:
    """Test with one client and with two. A quick run skips the minute until the server closes slow
    connections."""
    figures: dict[str, Any] = {}
    targets: dict[str, bool] = {}
    photos, seconds = (
        PhotoStream(list(options.photos("640x480"))),
        _QUICK_S if options.quick else _ROUND_S,
    )
    with Server(options.work / "slow-clients", KEYLIKE_CONNECTIONS_PER_ADDRESS="512") as server:
        asyncio.run(closed_loop(f"{server.url}/predict", lambda: next(photos), 2, 2.0))
        for clients in (2, 1):
            figures[f"{clients} clients"] = result = asyncio.run(
                _compare(server, photos, clients, seconds)
            )
            targets[f"{clients} clients: p95 at most {_FACTOR:g} times its usual value"] = (
                result["factor"] <= _FACTOR and not result["failed"]
            )
        figures["cores_without_other_load"] = asyncio.run(_idle_cpu(server, seconds))
        if not options.quick:
            closed_after = asyncio.run(_closing_times(server))
            figures["closed_after_s"] = [closed_after[0], closed_after[-1]]
            targets["closed after the read deadline"] = (
                _CLOSED_AFTER_S[0] <= closed_after[0] and closed_after[-1] <= _CLOSED_AFTER_S[1]
            )
    return Outcome(figures, targets)
