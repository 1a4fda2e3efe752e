"""Measures the processor time and memory of all processes of a server, on Linux."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import psutil

_PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


class ResourceMonitor:
    """Monitor that measures the memory of a process and its descendants regularly until `stop`.

    A page that several processes share counts once (proportional set size).

    Args:
        pid: Id of the process.
        interval_s: Seconds between two measurements.

    Attributes:
        peak: Largest memory measured so far, in bytes.
    """

    def __init__(self, pid: int, interval_s: float = 0.5) -> None:
        self._root = psutil.Process(pid)
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.peak = self.memory()
        self._thread.start()

    def __enter__(self) -> ResourceMonitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def cpu_s(self) -> float:
        """Return the processor seconds (user and system) used so far.

        Child processes that have ended are included.
        """
        seconds = 0.0
        for process in self._processes():
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            seconds += times.user + times.system + times.children_user + times.children_system
        return seconds

    def memory(self) -> int:
        """Return the memory in use now, in bytes."""
        return sum(_pss(process.pid) for process in self._processes())

    def stop(self) -> None:
        """Measure once more and stop the background thread."""
        self._stop.set()
        self._thread.join()
        self.peak = max(self.peak, self.memory())

    def _sample(self) -> None:
        while not self._stop.wait(self._interval_s):
            self.peak = max(self.peak, self.memory())

    def _processes(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def _pss(pid: int) -> int:
    """Return the proportional set size in bytes, or 0 if the process has ended.

    It reads smaps_rollup, which contains only sums. The kernel produces it much faster than smaps,
    the list of all mappings.
    """
    try:
        match = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except PermissionError:
        # If a server forbids core dumps, only root may read this file.
        return _rss(pid)
    return int(match[1]) * 1024 if match else 0


def _rss(pid: int) -> int:
    """Return the resident set size in bytes, or 0 if the process has ended.

    Workers share many pages, which each of them counts. So the sum over all processes is too high.
    """
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
