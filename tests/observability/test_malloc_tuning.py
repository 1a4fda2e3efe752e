"""Test that free memory is returned to the operating system, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A program that allocates blocks of 64 kB and frees them, except each fiftieth and the last one.
# The last one stays at the top of the heap, because glibc always returns free memory there.
_CHILD = """
from psutil import Process
from keylike.observability.malloc_tuning import release_free_memory, tune_malloc

tune_malloc()
held = [bytes([1]) * 65_536 for _ in range(2000)]
held = [*held[::50], held[-1]]
before = Process().memory_info().rss
release_free_memory()
print(before, Process().memory_info().rss, len(held))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="malloc_trim exists only on Linux")
def test_release_free_memory_includes_gaps_between_used_blocks() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", _CHILD],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    before, after, held = map(int, answer.split())
    assert held == 41
    assert before - after > 100_000_000
