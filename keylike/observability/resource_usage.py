"""What this process and those that it started take of the machine: processor, memory, and the blocks that pictures leave behind."""

from __future__ import annotations

import contextlib
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil
from PIL import Image


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """`uptime_s` since the application was made, `cpu_percent` of one core on average over that time; `cpu_s` of all cores together since
    the process began; memory in bytes: resident now and at its peak, and free on the machine. Processes that it started count, but not in
    the peak of the past: what they share with each other once."""

    uptime_s: float
    cpu_s: float
    cpu_percent: float
    cores: int
    rss: int
    peak: int
    free: int


@dataclass(frozen=True, slots=True)
class ImageBlocks:
    """Blocks of freed pictures that are kept for the next one, and their size in bytes."""

    kept: int
    size: int


class ProcessStats:
    """This process and those below it, as the system sees them; `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._since = clock, clock()
        self._process = psutil.Process()
        self._cpu_s_before = self._cpu_s()

    def usage(self) -> ResourceUsage:
        """All of it now."""
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
        """Of each process that it started, or those did."""
        for process in self._process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                yield figure(process)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _share(process: psutil.Process) -> int:
    """Bytes, where Linux tells: reading processes share most of their memory with each other."""
    memory = process.memory_full_info()
    return int(getattr(memory, "pss", memory.uss))


def image_blocks() -> ImageBlocks:
    """Those that Pillow keeps."""
    return ImageBlocks(Image.core.get_stats()["blocks_cached"], Image.core.get_block_size())  # type: ignore[attr-defined]


def traced_memory() -> tuple[int, int] | None:
    """Bytes that Python's own objects take, now and at the peak; None unless Python was started with tracemalloc, which costs time."""
    return tracemalloc.get_traced_memory() if tracemalloc.is_tracing() else None


def _peak(memory: object) -> int:
    if sys.platform == "win32":
        return int(getattr(memory, "peak_wset", 0))
    import resource  # there is none on Windows

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
