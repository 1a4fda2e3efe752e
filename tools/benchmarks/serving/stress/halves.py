"""Three hundred connections that each announce 14 MB, send half of it and wait: what memory they hold, and whether others are served."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

from tools.benchmarks.serving.load import together
from tools.benchmarks.serving.photos import Stream
from tools.benchmarks.serving.stress.contract import Outcome, Terms
from tools.benchmarks.serving.stress.memory import MB
from tools.benchmarks.serving.stress.server import Server
from tools.benchmarks.serving.stress.tally import TOLD, tally
from tools.benchmarks.serving.stress.wire import Wire, head

_CONNECTIONS, _QUICK = 300, 100
# Below the largest body that is taken.
_ANNOUNCED = 14_000_000
_SENT = bytes(_ANNOUNCED // 2)
_SENDING_S, _SECONDS = 20.0, 8.0
_MOST_MB = 1000


async def _hold(port: int, sent: asyncio.Semaphore, over: asyncio.Event) -> str:
    """What becomes of one of them until it is `over`; releases `sent` once its half is handed over, or will never be."""
    wire = await Wire.connect(port)
    with suppress(ConnectionError):  # an answer may have come all the same
        await wire.send(head(_ANNOUNCED))
        await wire.send(_SENT)
    sent.release()
    reply, waiting = asyncio.ensure_future(wire.answer()), asyncio.ensure_future(over.wait())
    await asyncio.wait({reply, waiting}, return_when=asyncio.FIRST_COMPLETED)
    told = (
        "waits"
        if not reply.done()
        else f"{answer.status}"
        if (answer := reply.result())
        else "hung up on"
    )
    for each in (reply, waiting):
        each.cancel()
    await asyncio.gather(reply, waiting, return_exceptions=True)
    wire.close()
    return told


async def _beside(
    server: Server, connections: int, photos: Stream, large: Stream
) -> dict[str, Any]:
    sent, over = asyncio.Semaphore(0), asyncio.Event()
    held = [asyncio.create_task(_hold(server.port, sent, over)) for _ in range(connections)]
    # Whoever the server reads no further from never gets rid of its half.
    with suppress(TimeoutError):
        async with asyncio.timeout(_SENDING_S):
            for _ in held:
                await sent.acquire()
    url = f"{server.url}/predict"
    shots, large_shots = await asyncio.gather(
        together(url, lambda: next(photos), 2, _SECONDS),
        together(url, lambda: next(large), 1, _SECONDS),
    )
    peak = server.watch.peak
    over.set()
    done, stuck = await asyncio.wait(held, timeout=1.0)
    for each in stuck:
        each.cancel()
    fates = Counter(each.result() for each in done) + Counter({"not read to its half": len(stuck)})
    return {
        "connections": dict(fates),
        "answers": tally(shots),
        "answers_12_mp": tally(large_shots),
        "peak_mb": peak / MB,
    }


def halves(terms: Terms) -> Outcome:
    """Beside them two callers with captures, which the server has room for, and one with photos of 12 megapixels, for which it may not."""
    photos, large = (Stream(list(terms.photos(size))) for size in ("640x480", "12 MP"))
    with Server(terms.work / "halves") as server:
        before = server.watch.memory() / MB
        found = asyncio.run(_beside(server, _QUICK if terms.quick else _CONNECTIONS, photos, large))
    targets = {
        "captures are read": set(found["answers"]) == {"200"},
        "large photos are read, or told when to come back": set(found["answers_12_mp"])
        <= {"200", TOLD},
        f"never above {_MOST_MB} MB": found["peak_mb"] <= _MOST_MB,
    }
    return Outcome({"before_mb": before, **found}, targets)
