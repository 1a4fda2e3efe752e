"""Loading beside the server: what follows a load, and that a stop does not wait for one."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from keylike.engines.background_load import BackgroundLoad
from keylike.errors import ModelError

ROOT = Path(__file__).resolve().parent.parent.parent
# A load in a pool that nobody can end: Python itself would wait for it for ever.
HANGING = """
import threading
from concurrent.futures import ThreadPoolExecutor
from keylike.engines.background_load import BackgroundLoad

begun = threading.Event()

def load():
    ThreadPoolExecutor(1).submit(lambda: (begun.set(), threading.Event().wait())).result()

with BackgroundLoad(load, done=lambda: None, failed=lambda: None):
    begun.wait()
    print("left", end="")
    {leave}
print("never seen")
"""


def test_done_follows_a_load_in_its_own_thread() -> None:
    held, seen = threading.Event(), list[str]()

    def load() -> None:
        assert held.wait(20)
        seen.append("loaded")

    with BackgroundLoad(
        load,
        done=lambda: seen.append(threading.current_thread().name),
        failed=lambda: seen.append("failed"),
    ) as loading:
        assert seen == []
        held.set()
        loading.wait(20)
    assert seen == ["loaded", "loading"]
    assert loading.failure is None


def test_a_load_that_fails_says_so_and_why() -> None:
    told = threading.Event()

    def load() -> None:
        raise ModelError("gemma is empty")

    with BackgroundLoad(
        load, done=lambda: pytest.fail("there is no model"), failed=told.set
    ) as loading:
        assert told.wait(20)
    assert loading.failure == "gemma is empty"


@pytest.mark.parametrize(("leave", "status"), [("pass", 0), ("raise SystemExit(143)", 143)])
def test_left_too_early_the_process_ends_there_and_then(leave: str, status: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HANGING.format(leave=leave)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "left", "")
