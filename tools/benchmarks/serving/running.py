"""A contender while it serves: started in a session of its own, ready when it has answered a real photo, stopped with all it started."""

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

from tools.benchmarks.serving.load import together
from tools.benchmarks.serving.servers import Contender

_START_S, _STOP_S, _GLANCE_S = 60.0, 10.0, 0.2


@dataclass(frozen=True, slots=True)
class Running:
    """Where it takes photos, and its first process."""

    url: str
    pid: int


@contextlib.contextmanager
def running(contender: Contender, photo: Callable[[], bytes], work: Path) -> Iterator[Running]:
    """Starts it and waits until it answers 200; at the end nothing of it is left. What it says goes into a file in `work`.
    Raises RuntimeError with the last of it where it does not start."""
    folder = work / "".join(letter if letter.isalnum() else "-" for letter in contender.name)
    folder.mkdir(parents=True, exist_ok=True)
    port, said = _free_port(), folder / "said.txt"
    with said.open("wb") as file:
        process = subprocess.Popen(
            contender.arguments(port, folder),
            env=contender.variables(port, folder),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}/predict"
        if not _answers(process, url, photo):
            raise RuntimeError(
                f"{contender.name} does not answer; it said:\n{said.read_text(errors='replace')[-2000:]}"
            )
        yield Running(url, process.pid)
    finally:
        _stop(process)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _answers(process: subprocess.Popen[bytes], url: str, photo: Callable[[], bytes]) -> bool:
    until = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < until:
        if asyncio.run(together(url, photo, callers=1, seconds=0))[0].status == 200:
            return True
        time.sleep(_GLANCE_S)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Asks the whole session to end, and ends what does not; also those who took a group of their own."""
    family = []
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait()
