"""Polling-stop scenario: SIGTERM while 16 clients send photos and 30 clients poll the server.

A polling client sends a small request every half second on one connection. So most of these
connections are idle when the shutdown starts.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from typing import Any

from tools.benchmarks.serving.photos import PhotoStream
from tools.benchmarks.serving.stress.connection import Connection, TruncatedResponse
from tools.benchmarks.serving.stress.contract import Outcome, ScenarioOptions
from tools.benchmarks.serving.stress.server import Server
from tools.benchmarks.serving.stress.stop import FAILURES, Clients, RequestResult, RequestTimes

_STOPS, _QUICK_STOPS = 6, 2  # shutdowns in a normal and in a quick run
_BUSY, _POLLERS = 16, 30  # clients that send photos, clients that poll
_INTERVAL_S = 0.5  # pause between two requests of a polling client
_BEFORE_S = 3.0  # seconds under load before SIGTERM
_LIVE = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def _poll(clients: Clients, delay_s: float, counts: Counter[str]) -> None:
    """Poll on one connection until the server closes it during the shutdown."""
    await asyncio.sleep(delay_s)
    connection = await Connection.connect(clients.port)
    try:
        while await connection.quiet(_INTERVAL_S):
            times = RequestTimes(time.monotonic())
            try:
                with suppress(ConnectionError):
                    await connection.send(_LIVE)
                    times.completed = time.monotonic()
                response = await connection.response()
                counts[times.outcome(response, clients.stopped)] += 1
            except TruncatedResponse:
                counts[RequestResult.TRUNCATED] += 1
                return
            if response is None:
                return
            if response.closes:
                if clients.stopped < time.monotonic():
                    return
                connection.close()
                connection = await Connection.connect(clients.port)
    finally:
        connection.close()


async def _stop_once(server: Server, photos: PhotoStream) -> dict[str, Any]:
    clients, polled = Clients(server.port, photos), Counter[str]()
    tasks = [asyncio.create_task(clients.send()) for _ in range(_BUSY)]
    tasks += [
        asyncio.create_task(_poll(clients, number / _POLLERS, polled)) for number in range(_POLLERS)
    ]
    await asyncio.sleep(_BEFORE_S)
    clients.stopped = time.monotonic()
    server.signal()
    status = await asyncio.to_thread(server.wait_until_ended)
    seconds = time.monotonic() - clients.stopped
    await asyncio.gather(*tasks)
    photos_sent = clients.before + clients.after
    return {
        "stop_s": seconds,
        "exit_status": status,
        "photos": dict(photos_sent),
        "polled": dict(polled),
        "lost": sum(photos_sent[each] for each in FAILURES)
        + sum(polled[each] for each in (*FAILURES, RequestResult.LATE)),
    }


def polling_stop(options: ScenarioOptions) -> Outcome:
    """Shut the server down several times.

    A polling request without a response counts as lost, even if it was sent after SIGTERM.
    """
    photos = PhotoStream(list(options.photos("640x480")))
    stops = []
    for _ in range(_QUICK_STOPS if options.quick else _STOPS):
        with Server(options.work / "polling-stop") as server:
            stops.append(asyncio.run(_stop_once(server, photos)))
    return Outcome(
        {"stops": stops},
        {
            "no request is lost": not any(each["lost"] for each in stops),
            "exit status 0": not any(each["exit_status"] for each in stops),
        },
    )
