"""One measurement: a load on a running server, and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from tools.benchmarks.serving.figures import (
    Overload,
    Together,
    by_status,
    callers_got,
    overload_gave,
)
from tools.benchmarks.serving.load import one_after_another, steadily, together
from tools.benchmarks.serving.running import Running
from tools.benchmarks.serving.watch import Watch

Photo = Callable[[], bytes]


def for_callers(server: Running, photo: Photo, callers: int, seconds: float) -> Together:
    """So many callers who wait, for so many seconds and until the last is answered."""
    with Watch(server.pid) as watch:
        began, cpu, mine = time.perf_counter(), watch.cpu_s(), time.process_time()
        shots = asyncio.run(together(server.url, photo, callers, seconds))
        took, cpu_s, load_cpu_s = (
            time.perf_counter() - began,
            watch.cpu_s() - cpu,
            time.process_time() - mine,
        )
    return callers_got(
        shots, callers, took=took, cpu_s=cpu_s, load_cpu_s=load_cpu_s, memory=watch.peak
    )


def overloaded(
    server: Running, photo: Photo, callers: int, *, times: float, peak_s: float, seconds: float
) -> Overload:
    """The peak of so many callers who wait, then requests at so many times that rate, then the peak again: machines drift."""
    before = for_callers(server, photo, callers, peak_s).per_s
    with Watch(server.pid) as watch:
        shots = asyncio.run(steadily(server.url, photo, before * times, seconds))
    after = for_callers(server, photo, callers, peak_s).per_s
    return overload_gave(
        shots, peak=(before + after) / 2, offered=before * times, seconds=seconds, memory=watch.peak
    )


def one_caller(server: Running, photos: Sequence[bytes]) -> list[float]:
    """Milliseconds of each photo, one after the other. Raises RuntimeError where one is not answered."""
    shots = one_after_another(server.url, photos)
    if failed := by_status(shot for shot in shots if shot.status != 200):
        raise RuntimeError(f"one caller on an idle server was refused: {failed}")
    return [1e3 * shot.seconds for shot in shots]
