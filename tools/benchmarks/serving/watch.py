"""What a server costs: the processor time and the memory of its processes, as Linux counts them."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import psutil

_PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


class Watch:
    """Looks at a process and all that it started, until stopped. `peak` is the most bytes of memory that were seen; pages that
    processes share count once (proportional set size)."""

    def __init__(self, pid: int, every_s: float = 0.5) -> None:
        self._root, self._every_s = psutil.Process(pid), every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.peak = self.memory()
        self._thread.start()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def cpu_s(self) -> float:
        """Processor seconds so far, in user mode and in the kernel, of those that are there and those that are gone."""
        spent = 0.0
        for process in self._processes():
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            spent += times.user + times.system + times.children_user + times.children_system
        return spent

    def memory(self) -> int:
        """Bytes now."""
        return sum(_pss(process.pid) for process in self._processes())

    def stop(self) -> None:
        """Looks once more, and then no longer."""
        self._stop.set()
        self._thread.join()
        self.peak = max(self.peak, self.memory())

    def _look(self) -> None:
        while not self._stop.wait(self._every_s):
            self.peak = max(self.peak, self.memory())

    def _processes(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def _pss(pid: int) -> int:
    """Bytes; none of a process that is gone meanwhile. The sum alone: the list of all mappings takes longer to write than to count."""
    try:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) * 1024 if found else 0
