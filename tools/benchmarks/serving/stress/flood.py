"""Flood scenario: more 12-megapixel photos than the server can read.

It measures the peak memory, the responses, and the memory afterwards.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tools.benchmarks.serving.load import closed_loop
from tools.benchmarks.serving.photos import PhotoStream
from tools.benchmarks.serving.stress.contract import Outcome, ScenarioOptions
from tools.benchmarks.serving.stress.memory import MB
from tools.benchmarks.serving.stress.response_counts import REFUSED, count_responses
from tools.benchmarks.serving.stress.server import Server

# Numbers of clients and seconds.
_WAVES, _QUICK_WAVES = ((64, 30.0), (200, 15.0)), ((64, 8.0), (200, 5.0))
_AFTER_S = 10.0
# Half the memory of the smallest useful machine, which has two gigabytes.
_PEAK_LIMIT_MB = 1000
# Fragmentation may keep the memory of a dozen photos.
_RETAINED_LIMIT_MB = 100


async def _wave(
    server: Server, photos: PhotoStream, clients: int, seconds: float
) -> dict[str, Any]:
    server.monitor.peak = 0
    outcomes = await closed_loop(f"{server.url}/predict", lambda: next(photos), clients, seconds)
    return {
        "responses": count_responses(outcomes),
        "peak_mb": server.monitor.peak / MB,
        "slowest_s": max(outcome.seconds for outcome in outcomes),
    }


def flood(options: ScenarioOptions) -> Outcome:
    """Send several waves to one server."""
    figures: dict[str, Any] = {}
    photos = PhotoStream(list(options.photos("12 MP")))
    with Server(options.work / "flood") as server:
        before = server.monitor.memory() / MB
        for clients, seconds in _QUICK_WAVES if options.quick else _WAVES:
            figures[f"{clients} clients"] = asyncio.run(_wave(server, photos, clients, seconds))
        asyncio.run(asyncio.sleep(_AFTER_S))
        after = server.monitor.memory() / MB
    waves = list(figures.values())
    answered = all(set(wave["responses"]) <= {"200", REFUSED} for wave in waves)
    return Outcome(
        {"before_mb": before, **figures, "after_mb": after},
        {
            "every request is read or refused with Retry-After": answered,
            f"peak at most {_PEAK_LIMIT_MB} MB": max(wave["peak_mb"] for wave in waves)
            <= _PEAK_LIMIT_MB,
            f"{_AFTER_S:g} s later at most {_RETAINED_LIMIT_MB} MB above the start": after - before
            <= _RETAINED_LIMIT_MB,
        },
    )
