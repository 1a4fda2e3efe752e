"""More photos of 12 megapixels than can be read: what memory they take, who is answered how, and what is left of it."""

from __future__ import annotations

import asyncio
from typing import Any

from tools.benchmarks.serving.load import together
from tools.benchmarks.serving.photos import Stream
from tools.benchmarks.serving.stress.contract import Outcome, Terms
from tools.benchmarks.serving.stress.memory import MB
from tools.benchmarks.serving.stress.server import Server
from tools.benchmarks.serving.stress.tally import TOLD, tally

# Callers and seconds.
_WAVES, _QUICK = ((64, 30.0), (200, 15.0)), ((64, 8.0), (200, 5.0))
_AFTER_S = 10.0
# Half of what the smallest machine has that is worth serving from: two gigabytes.
_MOST_MB = 1000
# A dozen photos' worth of fragments may stay.
_LEFT_MB = 100


async def _wave(server: Server, photos: Stream, callers: int, seconds: float) -> dict[str, Any]:
    server.watch.peak = 0
    shots = await together(f"{server.url}/predict", lambda: next(photos), callers, seconds)
    return {
        "answers": tally(shots),
        "peak_mb": server.watch.peak / MB,
        "slowest_s": max(shot.seconds for shot in shots),
    }


def flood(terms: Terms) -> Outcome:
    """Wave after wave against one server."""
    figures: dict[str, Any] = {}
    photos = Stream(list(terms.photos("12 MP")))
    with Server(terms.work / "flood") as server:
        before = server.watch.memory() / MB
        for callers, seconds in _QUICK if terms.quick else _WAVES:
            figures[f"{callers} callers"] = asyncio.run(_wave(server, photos, callers, seconds))
        asyncio.run(asyncio.sleep(_AFTER_S))
        after = server.watch.memory() / MB
    waves = list(figures.values())
    honest = all(set(wave["answers"]) <= {"200", TOLD} for wave in waves)
    return Outcome(
        {"before_mb": before, **figures, "after_mb": after},
        {
            "each is read, or told when to come back": honest,
            f"never above {_MOST_MB} MB": max(wave["peak_mb"] for wave in waves) <= _MOST_MB,
            f"{_AFTER_S:g} s later at most {_LEFT_MB} MB above what it began with": after - before
            <= _LEFT_MB,
        },
    )
