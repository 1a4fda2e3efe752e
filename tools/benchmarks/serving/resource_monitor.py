"""Processor time and memory of all processes of a server, as Linux counts them."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import psutil

_PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


class ResourceMonitor:
    """Background thread that samples the memory of a process and its descendants until it is
    stopped.

    `peak` is the largest number of bytes seen. Pages that processes share count once (proportional
    set size).
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
        """Return the user and system seconds used so far, including those of children that have
        ended."""
        seconds = 0.0
        for process in self._processes():
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            seconds += times.user + times.system + times.children_user + times.children_system
        return seconds

    def memory(self) -> int:
        """Return the bytes in use now."""
        return sum(_pss(process.pid) for process in self._processes())

    def stop(self) -> None:
        """Take a last sample and stop sampling."""
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

    The kernel writes smaps_rollup, which has only the sums, much faster than the full list of
    mappings.
    """
    try:
        match = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except PermissionError:
        # A server that forbids core dumps shows this file to root only.
        return _rss(pid)
    return int(match[1]) * 1024 if match else 0


def _rss(pid: int) -> int:
    """Return the resident set size in bytes, or 0 if the process has ended.

    Workers share much of it, so the sum over all processes is too high.
    """
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
