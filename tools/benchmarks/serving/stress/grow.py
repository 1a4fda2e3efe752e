"""Ten thousand requests, read and refused: whether the server's memory grows with them."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from tools.benchmarks.serving.photos import Stream
from tools.benchmarks.serving.stress.contract import Outcome, Terms
from tools.benchmarks.serving.stress.memory import MB, growth
from tools.benchmarks.serving.stress.server import Server
from tools.benchmarks.serving.stress.wire import Wire, head

_REQUESTS, _QUICK = 10_000, 500
# Many: what the allocator keeps goes up and down by 20 MB from look to look.
_LOOKS = 40
_CALLERS = 4
# At this rate a server that answers ten photos a second for a month grows by 26 GB; what fragments of the allocator do to the trend of
# five thousand requests lies below it.
_BOUND_MB = 1.0

Request = tuple[bytes, bytes]


async def _send(port: int, requests: Iterator[Request], statuses: Counter[int]) -> None:
    """One caller on one connection, or on the next where the server wants no more on this one."""
    wire = await Wire.connect(port)
    for begun, body in requests:
        await wire.send(begun + body)
        answer = await wire.answer()
        statuses[answer.status if answer else 0] += 1
        if answer is None or answer.closes:
            wire.close()
            wire = await Wire.connect(port)
    wire.close()


async def _watch(server: Server, make: Callable[[], Request], total: int) -> dict[str, Any]:
    """Memory before, and after each part."""
    statuses: Counter[int] = Counter()
    counts, used = [0], [server.watch.memory()]
    for look in range(1, _LOOKS + 1):
        shared = (make() for _ in range(total // _LOOKS))
        await asyncio.gather(*(_send(server.port, shared, statuses) for _ in range(_CALLERS)))
        counts.append(look * (total // _LOOKS))
        used.append(server.watch.memory())
    slope = growth(counts, used)
    return {
        "requests": counts[-1],
        "statuses": dict(statuses),
        "memory_mb": [round(each / MB, 1) for each in used],
        "mb_per_1000": slope,
    }


def _refused(photo: bytes) -> Callable[[], Request]:
    """A kind that is not taken, a photo that ends too early, and an address where nothing is, in turns."""
    strange = b"POST /predict HTTP/1.1\r\nHost: keylike\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"
    short = photo[: len(photo) // 2]
    kinds = itertools.cycle(
        [
            (strange, b"a key"),
            (head(len(short)), short),
            (b"GET /nothing HTTP/1.1\r\nHost: keylike\r\n\r\n", b""),
        ]
    )
    return lambda: next(kinds)


def grow(terms: Terms) -> Outcome:
    """Photos that are each read, then requests that are each refused, of one server each."""
    photos = Stream(list(terms.photos("640x480")))

    def photo() -> Request:
        made = next(photos)
        return head(len(made)), made

    total = _QUICK if terms.quick else _REQUESTS
    figures: dict[str, Any] = {}
    targets: dict[str, bool] = {}
    for name, make, allowed in (
        ("read", photo, {200}),
        ("refused", _refused(next(photos)), {400, 404, 415}),
    ):
        with Server(terms.work / "grow") as server:
            figures[name] = found = asyncio.run(_watch(server, make, total))
        targets[f"{name}: answered as they should be"] = set(found["statuses"]) <= allowed
        if not terms.quick:
            targets[f"{name}: grows by less than {_BOUND_MB:g} MB per 1000 requests"] = (
                found["mb_per_1000"] < _BOUND_MB
            )
    return Outcome(figures, targets)
