"""Tests of loading a model in the background: success, failure, and an exit that does not wait."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from keylike.engines.background_load import BackgroundLoad
from keylike.errors import ModelError

ROOT = Path(__file__).resolve().parent.parent.parent
# A program whose loading never ends. It loads in a thread pool, for which Python waits at exit.
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


def test_load_runs_in_a_thread_of_its_own_and_calls_done() -> None:
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


def test_failed_load_keeps_the_reason_and_calls_failed() -> None:
    told = threading.Event()

    def load() -> None:
        raise ModelError("gemma is empty")

    with BackgroundLoad(
        load, done=lambda: pytest.fail("`done` was called without a model"), failed=told.set
    ) as loading:
        assert told.wait(20)
    assert loading.failure == "gemma is empty"


@pytest.mark.parametrize(("leave", "status"), [("pass", 0), ("raise SystemExit(143)", 143)])
def test_process_can_exit_while_a_model_is_loading(leave: str, status: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HANGING.format(leave=leave)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "left", "")
