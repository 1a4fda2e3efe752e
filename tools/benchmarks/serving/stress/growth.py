"""Growth scenario: measures whether the server's memory grows over 10,000 requests.

The first run sends photos that the server reads. The second sends requests that it refuses.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from tools.benchmarks.serving.photos import PhotoStream
from tools.benchmarks.serving.stress.connection import Connection, head
from tools.benchmarks.serving.stress.contract import Outcome, ScenarioOptions
from tools.benchmarks.serving.stress.memory import MB, growth_per_1000
from tools.benchmarks.serving.stress.server import Server

_REQUESTS, _QUICK_REQUESTS = 10_000, 500  # requests in a normal and in a quick run
# Number of memory measurements. Many are needed, because the memory that the allocator keeps varies
# by 20 MB between two measurements.
_SAMPLES = 40
_CLIENTS = 4
# Largest allowed growth in MB per 1,000 requests. At ten photos per second, 1 MB per 1,000 is 26 GB
# a month. Allocator fragmentation causes less than this over 5,000 requests.
_LIMIT_MB = 1.0
# Head and body of a request.

Request = tuple[bytes, bytes]


async def _send(port: int, requests: Iterator[Request], statuses: Counter[int]) -> None:
    """Send requests over one connection, which is reopened if needed, and count the statuses."""
    connection = await Connection.connect(port)
    for request_head, body in requests:
        await connection.send(request_head + body)
        response = await connection.response()
        statuses[response.status if response else 0] += 1
        if response is None or response.closes:
            connection.close()
            connection = await Connection.connect(port)
    connection.close()


async def _measure(
    server: Server, next_request: Callable[[], Request], total: int
) -> dict[str, Any]:
    """Send `total` requests, and measure the memory before them and after each fortieth of them."""
    statuses: Counter[int] = Counter()
    counts, memory = [0], [server.monitor.memory()]
    for sample in range(1, _SAMPLES + 1):
        requests = (next_request() for _ in range(total // _SAMPLES))
        await asyncio.gather(*(_send(server.port, requests, statuses) for _ in range(_CLIENTS)))
        counts.append(sample * (total // _SAMPLES))
        memory.append(server.monitor.memory())
    mb_per_1000 = growth_per_1000(counts, memory)
    return {
        "requests": counts[-1],
        "statuses": dict(statuses),
        "memory_mb": [round(each / MB, 1) for each in memory],
        "mb_per_1000": mb_per_1000,
    }


def _refused(photo: bytes) -> Callable[[], Request]:
    """Return a function that returns three different refused requests in turn.

    They have an unsupported content type, a truncated photo, and an unknown path.
    """
    unsupported = (
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: text/plain\r\nContent-Length: 5\r\n\r\n"
    )
    truncated = photo[: len(photo) // 2]
    cycle = itertools.cycle(
        [
            (unsupported, b"a key"),
            (head(len(truncated)), truncated),
            (b"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b""),
        ]
    )
    return lambda: next(cycle)


def growth(options: ScenarioOptions) -> Outcome:
    """Send photos to one server and refused requests to another."""
    photos = PhotoStream(list(options.photos("640x480")))

    def photo() -> Request:
        data = next(photos)
        return head(len(data)), data

    total = _QUICK_REQUESTS if options.quick else _REQUESTS
    figures: dict[str, Any] = {}
    targets: dict[str, bool] = {}
    for name, next_request, allowed in (
        ("read", photo, {200}),
        ("refused", _refused(next(photos)), {400, 404, 415}),
    ):
        with Server(options.work / "growth") as server:
            figures[name] = result = asyncio.run(_measure(server, next_request, total))
        targets[f"{name}: expected statuses only"] = set(result["statuses"]) <= allowed
        if not options.quick:
            targets[f"{name}: grows by less than {_LIMIT_MB:g} MB per 1000 requests"] = (
                result["mb_per_1000"] < _LIMIT_MB
            )
    return Outcome(figures, targets)
