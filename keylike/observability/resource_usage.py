"""Processor time and memory of this process and its children, and memory that Pillow retains."""

from __future__ import annotations

import contextlib
import os
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil
from PIL import Image


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """Resources of this process and its children.

    Attributes:
        uptime_s: seconds since the application was created.
        cpu_s: processor seconds of all cores since the process started.
        cpu_percent: average since the application was created, in percent of one core.
        cores: number of processor cores.
        rss: resident bytes; memory that processes share counts once.
        peak: largest resident bytes, without the past of child processes.
        free: bytes available on the machine.
    """

    uptime_s: float
    cpu_s: float
    cpu_percent: float
    cores: int
    rss: int
    peak: int
    free: int


@dataclass(frozen=True, slots=True)
class ImageBlocks:
    """Memory blocks of freed pictures that Pillow keeps for reuse; `size` in bytes per block."""

    kept: int
    size: int


class ProcessStats:
    """Statistics of this process and its descendants; `clock` returns seconds since 1970."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._process = psutil.Process()
        self._cpu_s_before = self._cpu_s()

    def usage(self) -> ResourceUsage:
        """Return the current usage."""
        cpu_s, memory = self._cpu_s(), self._process.memory_info()
        rss = memory.rss + sum(self._children(_share))
        uptime_s = self._clock() - self._since
        return ResourceUsage(
            uptime_s=uptime_s,
            cpu_s=cpu_s,
            cpu_percent=100 * (cpu_s - self._cpu_s_before) / uptime_s if uptime_s > 0 else 0.0,
            cores=psutil.cpu_count() or 1,
            rss=rss,
            peak=max(rss, _peak(memory)),
            free=psutil.virtual_memory().available,
        )

    def _cpu_s(self) -> float:
        return _cpu_s(self._process) + sum(self._children(_cpu_s))

    def _children(self, figure: Callable[[psutil.Process], float]) -> Iterator[float]:
        """Yield a figure of each descendant process."""
        for process in self._process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                yield figure(process)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _share(process: psutil.Process) -> int:
    """Return a process's share of its memory in bytes; worker processes share most of it."""
    try:
        memory = process.memory_full_info()
    except psutil.AccessDenied:
        return _estimated_share(process)
    return int(getattr(memory, "pss", memory.uss))


def _estimated_share(process: psutil.Process) -> int:
    """Return an estimate of a process's share.

    Only root may read the details of processes that forbid core dumps. The estimate leaves out
    memory that is mapped from files, and what a forked process got from its parent.
    """
    size = _private(process)
    parent = process.parent()
    if parent is not None and parent.pid != os.getpid():
        size -= _private(parent)
    return max(0, size)


def _private(process: psutil.Process) -> int:
    memory = process.memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))


def image_blocks() -> ImageBlocks:
    """Return the blocks that Pillow keeps."""
    return ImageBlocks(Image.core.get_stats()["blocks_cached"], Image.core.get_block_size())  # type: ignore[attr-defined]


def traced_memory() -> tuple[int, int] | None:
    """Return the current and peak bytes of Python objects, or None.

    Needs tracemalloc, which must be enabled when Python starts and costs time.
    """
    return tracemalloc.get_traced_memory() if tracemalloc.is_tracing() else None


def _peak(memory: object) -> int:
    if sys.platform == "win32":
        return int(getattr(memory, "peak_wset", 0))
    import resource  # not available on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
