"""Identical scenario: 50 clients send the same new photo at the same time.

The server must read it only once, and send the same response to all clients.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tools.benchmarks.serving.stress.connection import Connection, head
from tools.benchmarks.serving.stress.contract import Outcome, ScenarioOptions
from tools.benchmarks.serving.stress.server import Server

_CLIENTS = 50
# Fields of a response that may differ between requests.
_PER_REQUEST_FIELDS = ("request_id", "timestamp", "processing_ms", "cached")


async def _send_at_once(port: int, photo: bytes) -> list[dict[str, Any]]:
    """Return the responses of all clients.

    Every client first sends all but the last byte. Then all send the last byte.
    """
    connections = [await Connection.connect(port) for _ in range(_CLIENTS)]
    await asyncio.gather(
        *(connection.send(head(len(photo)) + photo[:-1]) for connection in connections)
    )
    await asyncio.gather(*(connection.send(photo[-1:]) for connection in connections))
    responses = await asyncio.gather(*(connection.response() for connection in connections))
    for connection in connections:
        connection.close()
    return [
        {"status": response.status, **json.loads(response.body)}
        for response in responses
        if response
    ]


def identical(options: ScenarioOptions) -> Outcome:
    """Check that the model ran once and that all responses are equal."""
    with Server(options.work / "identical") as server:
        before = server.metric("keylike_batch_photos_sum")
        responses = asyncio.run(_send_at_once(server.port, options.photos("640x480")[0]))
        runs = server.metric("keylike_batch_photos_sum") - before
    distinct = {
        json.dumps(
            {name: value for name, value in response.items() if name not in _PER_REQUEST_FIELDS},
            sort_keys=True,
        )
        for response in responses
    }
    figures = {
        "clients": _CLIENTS,
        "model_runs": int(runs),
        "responses": len(responses),
        "distinct_responses": len(distinct),
    }
    all_equal = len(responses) == _CLIENTS and len(distinct) == 1 and responses[0]["status"] == 200
    return Outcome(figures, {"one model run": runs == 1, "identical responses": all_equal})
