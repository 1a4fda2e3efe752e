"""Measure processor time and memory of this process and its children, and Pillow's free blocks."""

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
    """Processor time and memory of this process and its child processes.

    Attributes:
        uptime_s: seconds since the application was created.
        cpu_s: processor seconds of all cores since the process started.
        cpu_percent: average processor use since the application was created, in percent of one
            core.
        cores: number of processor cores of the machine.
        rss: resident memory in bytes. Memory that several processes share is counted once.
        peak: largest resident memory in bytes. Of child processes, only their current memory is
            included.
        free: available memory of the machine in bytes.
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
    """Memory blocks of freed pictures that Pillow keeps for reuse.

    `kept` is the number of blocks. `size` is the size of one block in bytes.
    """

    kept: int
    size: int


class ProcessStats:
    """Measurement of this process and all its child processes.

    `clock` returns seconds since 1970.
    """

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
        """Yield a figure for each child process and its children."""
        for process in self._process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                yield figure(process)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _share(process: psutil.Process) -> int:
    """Return the memory of a process in bytes.

    Memory that several processes share is divided among them. Worker processes share most of it.
    """
    try:
        memory = process.memory_full_info()
    except psutil.AccessDenied:
        return _estimated_share(process)
    return int(getattr(memory, "pss", memory.uss))


def _estimated_share(process: psutil.Process) -> int:
    """Return an estimate of the memory that only this process uses, in bytes.

    It is used because only root may read details of processes that forbid core dumps. It does not
    include memory that is mapped from files, or memory that a forked process has from its parent.
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
    """Return the current and the largest memory of Python objects in bytes, or None.

    This works only if Python was started with tracemalloc, which makes it slower.
    """
    return tracemalloc.get_traced_memory() if tracemalloc.is_tracing() else None


def _peak(memory: object) -> int:
    if sys.platform == "win32":
        return int(getattr(memory, "peak_wset", 0))
    import resource  # not available on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
