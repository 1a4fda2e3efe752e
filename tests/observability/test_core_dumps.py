"""Tests that no process of the server writes a core dump or lets others read its memory."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.test_cli_serve import Served

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

# A program that forbids core dumps, starts a child process, and prints what the server would report
# about the memory and processor time of both.
FIGURES = """
import json, os, psutil, time
from keylike.observability.core_dumps import forbid_core_dumps
from keylike.observability.resource_usage import ProcessStats
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

forbid_core_dumps()
reading, writing = os.pipe()
started = os.pipe()
child = os.fork()
if not child:
    os.close(writing)
    ballast = bytearray(50_000_000)
    os.write(started[1], b".")
    os.read(reading, 1)
    os._exit(0)
os.read(started[0], 1)
usage = ProcessStats(time.time).usage()
registry = CollectorRegistry()
ProcessCollector(registry=registry)
try:
    psutil.Process(child).memory_full_info()
    hidden = False
except psutil.AccessDenied:
    hidden = True
print(json.dumps({
    "user": os.getuid(), "hidden": hidden, "own": psutil.Process().memory_info().rss,
    "rss": usage.rss, "cpu": usage.cpu_s, "metrics": generate_latest(registry).decode(),
    "files": len(os.listdir("/proc/self/fd")),
}))
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    """Run a server with two worker processes. Core dumps are allowed when it starts."""
    limit = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (limit[1], limit[1]))
    try:
        served = Served(["app.py"], tmp_path / "logs", KEYLIKE_PROCESSES="2")
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limit)
    served.line_with("Ready")
    yield served
    with served.process as process:
        process.kill()


def test_server_and_workers_forbid_core_dumps(server: Served) -> None:
    main = psutil.Process(server.process.pid)
    processes = [main, *main.children(recursive=True)]
    assert len(processes) == 4
    for process in processes:
        assert resource.prlimit(process.pid, resource.RLIMIT_CORE) == (0, 0)
    if not os.getuid():
        # The kernel protects the memory of such a process by giving its files in /proc to root.
        # Here root owns them anyway, so check what a process without root's capabilities may read.
        assert [_is_hidden(process.pid) for process in processes] == [True] * 4


def _is_hidden(pid: int) -> bool:
    """Return True if a process without capabilities cannot read the memory map of process `pid`."""
    look = f"open('/proc/{pid}/maps').read(1)"
    done = subprocess.run(
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", look],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 or "PermissionError" in done.stderr, done.stderr
    return done.returncode != 0


def test_process_that_crashes_leaves_no_core_file(tmp_path: Path) -> None:
    crash = (
        "import os, resource, signal, sys\n"
        "resource.setrlimit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE)[1:] * 2)\n"
        "if sys.argv[1] == 'forbidden':\n"
        "    from keylike.observability.core_dumps import forbid_core_dumps\n"
        "    forbid_core_dumps()\n"
        "os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if not re.fullmatch(r"core[^/|]*", pattern):
        pytest.skip("core files are not written to the working directory")
    left = {}
    for mode in ("allowed", "forbidden"):
        folder = tmp_path / mode
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", crash, mode],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == -signal.SIGSEGV
        left[mode] = len([*folder.iterdir()])
    if not left["allowed"]:
        pytest.skip("this machine writes no core files")
    assert left["forbidden"] == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("user", [0, NOBODY])
def test_memory_figures_are_plausible_although_core_dumps_are_forbidden(user: int) -> None:
    as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--inh-caps=-all"]
    as_user += [] if user else ["--bounding-set=-all"]
    if subprocess.run([*as_user, "test", "-r", ROOT / "keylike" / "__init__.py"]).returncode:
        pytest.skip("the other user may not read this folder")
    done = subprocess.run(
        [*as_user, sys.executable, "-c", FIGURES],
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "Permission denied" in done.stderr and not done.stdout:
        pytest.skip("the other user may not run this Python")
    figures = json.loads(done.stdout)
    assert (figures["user"], figures["hidden"]) == (user, True)
    assert 40_000_000 < figures["rss"] - figures["own"] < 100_000_000
    assert figures["cpu"] > 0 and figures["files"] >= 3
    assert "process_open_fds" in figures["metrics"]
    assert "process_resident_memory_bytes" in figures["metrics"]
