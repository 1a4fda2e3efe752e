"""What a server costs: the processor time and the memory of its processes, as the operating system counts them."""

from __future__ import annotations

import threading

import psutil


class Watch:
    """Looks at a process and all that it started. Memory is proportional set size: pages that processes share count once."""

    def __init__(self, pid: int, every_s: float = 0.5) -> None:
        self._root, self._every_s = psutil.Process(pid), every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.peak = 0
        self._thread.start()

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

    def stop(self) -> None:
        """No longer looks."""
        self._stop.set()
        self._thread.join()

    def memory(self) -> int:
        """Bytes now."""
        used = 0
        for process in self._processes():
            try:
                used += process.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return used

    def _look(self) -> None:
        while not self._stop.wait(self._every_s):
            self.peak = max(self.peak, self.memory())

    def _processes(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
