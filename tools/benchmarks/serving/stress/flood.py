"""Flood scenario: clients send more 12-megapixel photos than the server can read.

It measures the responses, the peak memory, and the memory after the load.
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

# The waves of photos in a normal and in a quick run: (number of clients, seconds) of each wave.
_WAVES, _QUICK_WAVES = ((64, 30.0), (200, 15.0)), ((64, 8.0), (200, 5.0))
_AFTER_S = 10.0  # seconds between the load and the last measurement of the memory
# Largest allowed peak memory in MB: half the memory of a small machine with 2 GB.
_PEAK_LIMIT_MB = 1000
# Largest allowed growth of the memory after the load in MB. Because of fragmentation, the allocator
# may keep the memory of about a dozen photos.
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
    """Send several waves of photos to one server."""
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
