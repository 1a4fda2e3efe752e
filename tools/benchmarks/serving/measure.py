"""Measures a running server under one kind of load."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from tools.benchmarks.serving.figures import (
    LoadFigures,
    OverloadFigures,
    by_status,
    load_figures,
    overload_figures,
)
from tools.benchmarks.serving.load import closed_loop, open_loop, sequential
from tools.benchmarks.serving.resource_monitor import ResourceMonitor
from tools.benchmarks.serving.server_process import RunningServer

Photo = Callable[[], bytes]


def measure_clients(
    server: RunningServer, photo: Photo, clients: int, seconds: float
) -> LoadFigures:
    """Measure the server with concurrent clients that wait for their responses."""
    with ResourceMonitor(server.pid) as monitor:
        began, cpu, own_cpu = time.perf_counter(), monitor.cpu_s(), time.process_time()
        outcomes = asyncio.run(closed_loop(server.url, photo, clients, seconds))
        took, cpu_s, load_cpu_s = (
            time.perf_counter() - began,
            monitor.cpu_s() - cpu,
            time.process_time() - own_cpu,
        )
    return load_figures(
        outcomes, clients, seconds=took, cpu_s=cpu_s, load_cpu_s=load_cpu_s, memory=monitor.peak
    )


def measure_overload(
    server: RunningServer,
    photo: Photo,
    clients: int,
    *,
    factor: float,
    peak_s: float,
    seconds: float,
) -> OverloadFigures:
    """Measure the peak throughput, then an overload, then the peak throughput again.

    The speed of a machine drifts, so the reported peak is the mean of the two.

    Args:
        server: The running server.
        photo: Function that returns the next photo.
        clients: Number of concurrent clients that give the peak throughput.
        factor: Request rate of the overload as a multiple of the peak.
        peak_s: Duration of each peak measurement in seconds.
        seconds: Duration of the overload in seconds.
    """
    before = measure_clients(server, photo, clients, peak_s).per_s
    with ResourceMonitor(server.pid) as monitor:
        outcomes = asyncio.run(open_loop(server.url, photo, before * factor, seconds))
    after = measure_clients(server, photo, clients, peak_s).per_s
    return overload_figures(
        outcomes,
        peak=(before + after) / 2,
        offered=before * factor,
        seconds=seconds,
        memory=monitor.peak,
    )


def measure_single_client(server: RunningServer, photos: Sequence[bytes]) -> list[float]:
    """Send the photos one after the other, and return the milliseconds that each one took.

    Raises:
        RuntimeError: The status of a response was not 200.
    """
    outcomes = sequential(server.url, photos)
    if failed := by_status(outcome for outcome in outcomes if outcome.status != 200):
        raise RuntimeError(f"an idle server did not read the photos of a single client: {failed}")
    return [1e3 * outcome.seconds for outcome in outcomes]
