"""The limit: decoding and reading in a plain loop, a process a core, with no server around them. Prints what it cost as JSON."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time

from benchmarks.serving.peers.work import load, open_photo, read
from benchmarks.serving.photos import Stream, photos


def turn(size: str, seconds: float) -> tuple[int, float, float]:
    """Photos read by this process in so many seconds, its processor seconds meanwhile, and the median seconds of one."""
    reader, stream = load(), Stream(photos(size))
    read(reader, open_photo(next(stream)))
    taken = []
    began, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() < began + seconds:
        started = time.perf_counter()
        read(reader, open_photo(next(stream)))
        taken.append(time.perf_counter() - started)
    return len(taken), time.process_time() - cpu, sorted(taken)[len(taken) // 2]


def main(size: str, seconds: float, processes: int) -> None:
    """On so many cores at once."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        turns = pool.starmap(turn, [(size, seconds)] * processes, chunksize=1)
    count = sum(done for done, _, _ in turns)
    print(
        json.dumps(
            {
                "photos_s": count / seconds,
                "cpu_ms": 1e3 * sum(cpu for _, cpu, _ in turns) / count,
                "p50_ms": 1e3 * sum(median for _, _, median in turns) / processes,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else os.cpu_count() or 1)
