"""Starts a server process for the benchmark, and stops it with its child processes.

A server counts as started when it has answered a photo.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tools.benchmarks.serving.load import closed_loop
from tools.benchmarks.serving.servers import ServerSpec

# Seconds that a server may take to start and to stop, and seconds between two attempts to reach it.
_START_S, _STOP_S, _POLL_S = 60.0, 10.0, 0.2


@dataclass(frozen=True, slots=True)
class RunningServer:
    """The address to which photos are sent, and the id of the server's first process."""

    url: str
    pid: int


@contextlib.contextmanager
def run_server(spec: ServerSpec, photo: Callable[[], bytes], work: Path) -> Iterator[RunningServer]:
    """Start a server and yield it when it answers with status 200. Then stop all its processes.

    The server's output is written to a file in `work`.

    Raises:
        RuntimeError: The server did not start. The message contains the end of its output.
    """
    folder = work / "".join(letter if letter.isalnum() else "-" for letter in spec.name)
    folder.mkdir(parents=True, exist_ok=True)
    port, output = _free_port(), folder / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            spec.arguments(port, folder),
            env=spec.variables(port, folder),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}/predict"
        if not _wait_for_answer(process, url, photo):
            raise RuntimeError(
                f"{spec.name} does not answer; its output ends with:\n"
                f"{output.read_text(errors='replace')[-2000:]}"
            )
        yield RunningServer(url, process.pid)
    finally:
        _stop(process)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _wait_for_answer(
    process: subprocess.Popen[bytes], url: str, photo: Callable[[], bytes]
) -> bool:
    deadline = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < deadline:
        if asyncio.run(closed_loop(url, photo, clients=1, seconds=0))[0].status == 200:
            return True
        time.sleep(_POLL_S)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to the server's process group, then kill all processes that are left.

    Child processes that have their own process group are killed too.
    """
    children = []
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait()
