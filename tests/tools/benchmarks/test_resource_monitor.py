"""Tests that measured memory and processor time cover all processes of a server."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from tools.benchmarks.serving.resource_monitor import ResourceMonitor

_MB = 1_000_000
# Two programs: _PARENT starts _CHILD. The child uses 60 MB of memory and 0.3 s of processor time,
# and ends when it gets a character on stdin.
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


def test_resource_monitor_also_counts_child_processes_that_have_ended() -> None:
    command = [sys.executable, "-c", _PARENT]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=0
    ) as parent:
        assert parent.stdin and parent.stdout
        assert parent.stdout.readline() == "ready\n"
        with ResourceMonitor(parent.pid, interval_s=3600) as monitor:
            with_child = monitor.memory()
            assert with_child > 60 * _MB
            assert monitor.cpu_s() >= 0.3
            parent.stdin.write("x")
            assert parent.stdout.readline() == "gone\n"
            assert monitor.cpu_s() >= 0.3
            assert monitor.memory() < with_child - 55 * _MB
        assert monitor.peak > 60 * _MB
        parent.stdin.write("x")


def test_resource_monitor_of_a_missing_process_raises_an_error() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with pytest.raises(psutil.NoSuchProcess):
        ResourceMonitor(ended.pid)
