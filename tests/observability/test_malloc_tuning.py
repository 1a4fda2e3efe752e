"""What glibc gives back: the real allocator, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Blocks of 64 kB are freed but for one in fifty and the last: nothing of it lies at the top, from where glibc would return it anyway.
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


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no malloc_trim")
def test_what_lies_between_blocks_in_use_is_given_back_too() -> None:
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
