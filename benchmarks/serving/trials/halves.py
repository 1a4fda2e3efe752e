"""Three hundred connections that each announce 14 MB, send half of it and wait: what memory they hold, and whether others are served."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

from benchmarks.serving.load import together
from benchmarks.serving.photos import Stream
from benchmarks.serving.trials.contract import Outcome, Terms
from benchmarks.serving.trials.memory import MB
from benchmarks.serving.trials.server import Server
from benchmarks.serving.trials.wire import Wire, head

_CONNECTIONS, _QUICK = 300, 100
# Below the largest body that is taken.
_ANNOUNCED = 14_000_000
_SENT = bytes(_ANNOUNCED // 2)
_SENDING_S, _SECONDS = 20.0, 8.0
_MOST_MB = 1000


async def _hold(port: int, holding: asyncio.Event) -> str:
    """What becomes of one of them until `holding` is over."""
    wire = await Wire.connect(port)
    with suppress(ConnectionError):  # an answer may have come all the same
        await wire.send(head(_ANNOUNCED))
        await wire.send(_SENT)
    reply, over = asyncio.ensure_future(wire.answer()), asyncio.ensure_future(holding.wait())
    await asyncio.wait({reply, over}, return_when=asyncio.FIRST_COMPLETED)
    told = "waits" if not reply.done() else f"{answer.status}" if (answer := reply.result()) else "hung up on"
    for each in (reply, over):
        each.cancel()
    await asyncio.gather(reply, over, return_exceptions=True)
    wire.close()
    return told


async def _beside(server: Server, connections: int, photos: Stream) -> dict[str, Any]:
    holding = asyncio.Event()
    held = [asyncio.create_task(_hold(server.port, holding)) for _ in range(connections)]
    # Whoever the server does not read any further from never gets rid of its half.
    await asyncio.wait(held, timeout=_SENDING_S)
    shots = await together(f"{server.url}/predict", lambda: next(photos), 2, _SECONDS)
    peak = server.watch.peak
    holding.set()
    done, stuck = await asyncio.wait(held, timeout=_SENDING_S)
    for each in stuck:
        each.cancel()
    fates = Counter(each.result() for each in done) + Counter({"not read to its half": len(stuck)})
    return {"connections": dict(fates), "answers": dict(Counter(str(shot.status) for shot in shots)), "peak_mb": peak / MB}


def halves(terms: Terms) -> Outcome:
    """Two callers with captures beside them."""
    photos = Stream(list(terms.photos("640x480")))
    with Server(terms.work / "halves") as server:
        before = server.watch.memory() / MB
        found = asyncio.run(_beside(server, _QUICK if terms.quick else _CONNECTIONS, photos))
    targets = {"others are answered": set(found["answers"]) == {"200"}, f"never above {_MOST_MB} MB": found["peak_mb"] <= _MOST_MB}
    return Outcome({"before_mb": before, **found}, targets)
