"""The baseline: decodes and reads photos in a plain loop without a server, one process per core."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier

from keylike.readers.contract import Reader
from tools.benchmarks.serving.peers.work import load_reader, open_photo, read
from tools.benchmarks.serving.photos import PhotoStream


@dataclass(frozen=True, slots=True)
class BaselineRun:
    """Work of one process: number of photos, wall-clock seconds, and processor seconds."""

    photos: int
    seconds: float
    cpu_s: float


class Baseline:
    """Pool of processes that read photos. Each has the reader and the photos of all sizes."""

    def __init__(self, processes: int, photos: Mapping[str, Sequence[bytes]]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._processes = processes
        self._pool = spawn.Pool(processes, _start_process, (spawn.Barrier(processes), photos))

    def __enter__(self) -> Baseline:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.terminate()
        self._pool.join()

    def all_cores(self, size: str, seconds: float) -> list[BaselineRun]:
        """Run all processes at the same time for `seconds`, and return the result of each."""
        return self._pool.starmap(_run_for, [(size, seconds)] * self._processes, chunksize=1)

    def each_once(self, size: str) -> list[float]:
        """Return the seconds that one process takes for each photo while the others are idle."""
        return self._pool.apply(_each_once, (size,))


@dataclass
class _ProcessState:
    """State of one process of the pool."""

    reader: Reader
    start: Barrier
    photos: Mapping[str, Sequence[bytes]]


_state: _ProcessState


def _start_process(start: Barrier, photos: Mapping[str, Sequence[bytes]]) -> None:
    global _state
    _state = _ProcessState(load_reader(), start, photos)


def _run_for(size: str, seconds: float) -> BaselineRun:
    stream, count = PhotoStream(_state.photos[size]), 0
    _state.start.wait()
    began, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() < began + seconds:
        read(_state.reader, open_photo(next(stream)))
        count += 1
    return BaselineRun(count, time.perf_counter() - began, time.process_time() - cpu)


def _each_once(size: str) -> list[float]:
    seconds = []
    for photo in _state.photos[size]:
        began = time.perf_counter()
        read(_state.reader, open_photo(photo))
        seconds.append(time.perf_counter() - began)
    return seconds
