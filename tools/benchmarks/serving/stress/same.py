"""The same photo from fifty callers at once, of a server that never saw it: one of them has it read, and all are told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tools.benchmarks.serving.stress.contract import Outcome, Terms
from tools.benchmarks.serving.stress.server import Server
from tools.benchmarks.serving.stress.wire import Wire, head

_CALLERS = 50
# Each request's own.
_OWN = ("request_id", "timestamp", "processing_ms", "cached")


async def _ask_at_once(port: int, photo: bytes) -> list[dict[str, Any]]:
    """What each of them is told. All have sent all but the last byte before any of them sends that."""
    wires = [await Wire.connect(port) for _ in range(_CALLERS)]
    await asyncio.gather(*(wire.send(head(len(photo)) + photo[:-1]) for wire in wires))
    await asyncio.gather(*(wire.send(photo[-1:]) for wire in wires))
    answers = await asyncio.gather(*(wire.answer() for wire in wires))
    for wire in wires:
        wire.close()
    return [{"status": answer.status, **json.loads(answer.body)} for answer in answers if answer]


def same(terms: Terms) -> Outcome:
    """One run, fifty answers alike."""
    with Server(terms.work / "same") as server:
        before = server.metric("keylike_batch_photos_sum")
        told = asyncio.run(_ask_at_once(server.port, terms.photos("640x480")[0]))
        runs = server.metric("keylike_batch_photos_sum") - before
    kinds = {
        json.dumps(
            {name: value for name, value in answer.items() if name not in _OWN}, sort_keys=True
        )
        for answer in told
    }
    figures = {
        "callers": _CALLERS,
        "model_runs": int(runs),
        "answers": len(told),
        "kinds_of_answer": len(kinds),
    }
    alike = len(told) == _CALLERS and len(kinds) == 1 and told[0]["status"] == 200
    return Outcome(figures, {"one model run": runs == 1, "all are told the same": alike})
