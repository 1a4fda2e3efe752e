"""Slow-clients scenario: 200 connections send one byte per second.

It measures how much they delay other clients, and when the server closes them.
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

_HEADERS = _BODIES = 100  # connections with slow headers, and connections with slow bodies
_INTERVAL_S = 1.0  # seconds between two bytes of one connection
# Number of rounds, and seconds per measurement in a normal and in a quick run.
_ROUNDS, _ROUND_S, _QUICK_S = 2, 8.0, 3.0
# Largest allowed 95th percentile of the latency, as a multiple of that without slow connections.
_FACTOR = 2.0
# Earliest and latest time in seconds at which the server should close: its read deadline is 60 s,
# checked once per second, plus a margin.
_CLOSED_AFTER_S = (60.0, 63.0)
_OBSERVED = 5  # slow connections of each kind whose end is measured


async def _send_slowly(port: int, beginning: bytes, delay_s: float = 0.0) -> float:
    """Open a slow connection and return the seconds until the server closes it.

    Args:
        port: Port of the server.
        beginning: Bytes that are sent at once.
        delay_s: Seconds to wait before connecting.
    """
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
    """Return coroutines for slow connections, which start within one second at equal distances."""
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
    """Measure photos alternately without and with slow connections.

    The measurements alternate, because the speed of a machine drifts. Each one lasts `seconds`.
    """
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
    """Return the processor time that slow connections take without other load, in cores."""
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
    """Test with two clients and with one.

    A quick run does not wait until the server closes slow connections, which takes a minute.
    """
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
