"""What a server costs is counted over all of its processes, also those that are gone."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from tools.benchmarks.serving.watch import Watch

_MB = 1_000_000
# A process that starts another; that one takes memory and processor time, and ends when it is told to.
_CHILD = """
import sys, time
held = bytearray(b"x") * 60_000_000
while time.process_time() < 0.3:
    pass
print("ready", flush=True)
sys.stdin.read(1)
"""
_PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {_CHILD!r}], stdin=subprocess.PIPE)
sys.stdin.read(1); child.communicate(b"x"); print("gone", flush=True); sys.stdin.read(1)
"""


def test_a_childs_time_and_memory_count() -> None:
    command = [sys.executable, "-c", _PARENT]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=0
    ) as parent:
        assert parent.stdin and parent.stdout
        assert parent.stdout.readline() == "ready\n"
        with Watch(parent.pid, every_s=3600) as watch:
            with_child = watch.memory()
            assert with_child > 60 * _MB
            assert watch.cpu_s() >= 0.3
            parent.stdin.write("x")
            assert parent.stdout.readline() == "gone\n"
            assert watch.cpu_s() >= 0.3
            assert watch.memory() < with_child - 55 * _MB
        assert watch.peak > 60 * _MB
        parent.stdin.write("x")


def test_nobody_to_watch() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with pytest.raises(psutil.NoSuchProcess):
        Watch(gone.pid)
