"""Tests with standard streams that are closed, full, or not read by any process."""

from __future__ import annotations

import fcntl
import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.running import until

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sys.executable
# The size of a small pipe in bytes. Only Linux can set it, and only Linux has /dev/full.
PIPE_BYTES = 4096
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full and pipe sizes")


class Server:
    """A server process. Its port is chosen beforehand, because its output may not be readable."""

    def __init__(self, logs: Path, redirection: str = "", **streams: Any) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            ["sh", "-c", f'exec "$0" -m tests.serve_colour {redirection}', PYTHON],
            cwd=ROOT,
            env={
                **os.environ,
                "KEYLIKE_PORT": str(self.port),
                "KEYLIKE_LOGS": str(logs),
                "KEYLIKE_LOG_LEVEL": "DEBUG",
            },
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **streams},
        )
        until(self.answers)

    def answers(self) -> bool:
        """Return True if the server responds to a request. Fail if its process has ended."""
        assert self.process.poll() is None, "the server has ended"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health/live")
            return connection.getresponse().status == 200
        except ConnectionRefusedError:
            return False
        finally:
            connection.close()

    def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Return a function that starts servers. Kill them after the test."""
    started: list[Server] = []

    def start(redirection: str = "", **streams: Any) -> Server:
        started.append(Server(tmp_path / "logs", redirection, **streams))
        return started[-1]

    yield start
    for each in started:
        with each.process as process:
            process.kill()


@contextmanager
def unread_pipe(*, full: bool) -> Iterator[int]:
    """Yield the writing end of a small pipe that no process reads."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    if full:
        os.write(writing, bytes(fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)))
    yield writing
    os.close(reading)
    os.close(writing)


def test_server_works_while_its_stderr_pipe_is_full(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    with unread_pipe(full=False) as pipe:
        server = serve(stderr=pipe)
        # Each log line takes more than 50 bytes, so these lines fill the pipe.
        count = PIPE_BYTES // 50
        for _ in range(count):
            assert server.answers()
        assert server.stop() == 0
    assert (tmp_path / "logs" / "api.log").read_text().count('"route": "/health/live"') >= count


def test_server_starts_and_stops_while_its_stdout_pipe_is_full(
    serve: Callable[..., Server],
) -> None:
    with unread_pipe(full=True) as pipe:
        server = serve(stdout=pipe)
        assert server.answers()
        assert server.stop() == 0


@pytest.mark.parametrize(
    "redirection",
    [">&-", ">/dev/full", "2>&-", "2>/dev/full", ">/dev/full 2>/dev/full", "<&- >&- 2>&-"],
)
def test_server_starts_and_stops_with_closed_or_full_streams(
    serve: Callable[..., Server], redirection: str
) -> None:
    server = serve(redirection)
    assert server.answers()
    assert server.stop() == 0


def test_descriptors_of_closed_streams_are_not_reused_for_files(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve("<&- >&- 2>&-")
    assert server.answers()
    targets = {os.readlink(f"/proc/{server.process.pid}/fd/{number}") for number in range(3)}
    assert targets == {os.devnull}


@pytest.mark.parametrize("command", [["--help"], ["tokens", "list"], ["doctor"]])
@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", ">/dev/full 2>/dev/full", "| true"])
def test_command_that_cannot_print_ends_without_a_traceback(
    tmp_path: Path, command: list[str], redirection: str
) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$0" app.py "$@" {redirection}', PYTHON, *command],
        cwd=ROOT,
        env={**os.environ, "KEYLIKE_TOKENS": str(tmp_path / "t"), "KEYLIKE_LOGS": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in (0, 1)
    assert not any(word in done.stderr for word in ("Traceback", "Exception ignored", "Errno"))
