"""The limit: decoding and reading in a plain loop, a process a core, with no server around them."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier

from keylike.readers.contract import Reader
from tools.benchmarks.serving.peers.work import load, open_photo, read
from tools.benchmarks.serving.photos import Stream


@dataclass(frozen=True, slots=True)
class Turn:
    """What one process did: photos, seconds, and its processor seconds meanwhile."""

    photos: int
    seconds: float
    cpu_s: float


class Loop:
    """Processes that have the reader and the photos, ready to run; `made` are the photos of each size."""

    def __init__(self, processes: int, made: Mapping[str, Sequence[bytes]]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._processes = processes
        self._pool = spawn.Pool(processes, _begin, (spawn.Barrier(processes), made))

    def __enter__(self) -> Loop:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.terminate()
        self._pool.join()

    def all_cores(self, size: str, seconds: float) -> list[Turn]:
        """What each process did in so many seconds, all at the same time."""
        return self._pool.starmap(_for_seconds, [(size, seconds)] * self._processes, chunksize=1)

    def each_once(self, size: str) -> list[float]:
        """Seconds that each photo takes one process, while the others rest."""
        return self._pool.apply(_each_once, (size,))


@dataclass
class _Here:
    """What a process of the pool has."""

    reader: Reader
    together: Barrier
    made: Mapping[str, Sequence[bytes]]


_here: _Here


def _begin(together: Barrier, made: Mapping[str, Sequence[bytes]]) -> None:
    global _here
    _here = _Here(load(), together, made)


def _for_seconds(size: str, seconds: float) -> Turn:
    stream, count = Stream(_here.made[size]), 0
    _here.together.wait()
    began, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() < began + seconds:
        read(_here.reader, open_photo(next(stream)))
        count += 1
    return Turn(count, time.perf_counter() - began, time.process_time() - cpu)


def _each_once(size: str) -> list[float]:
    taken = []
    for photo in _here.made[size]:
        began = time.perf_counter()
        read(_here.reader, open_photo(photo))
        taken.append(time.perf_counter() - began)
    return taken
