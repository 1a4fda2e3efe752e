"""Tests of the shutdown: open connections, uploads, and signals, also during startup."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http_server.sockets import (
    LIVE,
    check_live,
    connect,
    is_closed,
    photo_head,
    photo_request,
    read_response,
)
from tests.running import PatientReader, Running, until
from tests.test_cli_serve import COLOUR, ROOT, Served
from tools.plain_pictures import plain

# A program that runs app.py and sends itself a signal when app.py imports `typer`, which is early
# in the start.
EARLY_SIGNAL = """
import importlib.abc, os, runpy, sys

number = int(sys.argv.pop())

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "typer":
            os.kill(os.getpid(), number)

sys.meta_path.insert(0, Finder())
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


def drain(running: Running) -> None:
    """Begin the shutdown and wait until the server no longer listens."""
    running.server.stop()
    until(lambda: not running.server._listener.accepting)


def wait_for_check(running: Running, step_s: float) -> None:
    """Advance the clock and wait until the server has checked its connections."""
    running.now += step_s
    until(lambda: running.server._last_check == running.now)


def test_stop_lets_recently_used_connections_send_one_more_request(running: Running) -> None:
    with connect(running.server.port) as client:
        check_live(client)
        drain(running)
        client.sendall(LIVE)
        status, headers, _ = read_response(client)
        assert (status, headers["Connection"]) == (200, "close")
        assert is_closed(client)
    running.thread.join(20)
    assert not running.thread.is_alive()


def test_stop_first_closes_connections_that_were_idle_for_two_seconds(
    running: Running, reader: PatientReader
) -> None:
    """Stop with one idle, one recently used and one busy connection.

    Connections that were used in the last two seconds or have a request are closed later.
    """
    reader.allowed.clear()
    port = running.server.port
    with connect(port) as idle, connect(port) as recent, connect(port) as busy:
        check_live(idle)
        until(lambda: running.server._listener.task_dispatcher.active_count == 0)
        wait_for_check(running, 1)
        wait_for_check(running, 1.5)
        check_live(recent)
        busy.sendall(photo_request(plain()))
        assert reader.asked.wait(20)
        wait_for_check(running, 1)
        drain(running)
        assert is_closed(idle)
        recent.sendall(LIVE)
        assert read_response(recent)[0] == 200
        reader.allowed.set()
        assert read_response(busy)[0] == 200


def test_server_with_an_idle_connection_stops_after_a_while(running: Running) -> None:
    with connect(running.server.port) as client:
        check_live(client)
        drain(running)
        running.wait_until_stopped()
        assert is_closed(client)


def test_stop_finishes_requests_that_had_arrived(running: Running, reader: PatientReader) -> None:
    reader.allowed.clear()
    clients = [connect(running.server.port) for _ in range(6)]
    for number, each in enumerate(clients):
        each.sendall(photo_request(plain(size=(40 + number, 40))))
    running.server.stop()
    reader.allowed.set()
    for each in clients:
        assert read_response(each)[0] == 200
        each.close()


def test_upload_can_finish_during_a_stop(running: Running) -> None:
    photo = plain() + bytes(1_000_000)
    with connect(running.server.port) as client:
        client.sendall(photo_head(len(photo)) + photo[:100])
        running.wait_a_turn()
        drain(running)
        for start in range(100, len(photo), 100_000):
            client.sendall(photo[start : start + 100_000])
            wait_for_check(running, 2)
        status, headers, body = read_response(client)
        assert (status, body["bitting"]) == (200, "2,5,4,7,3")
        assert headers["Connection"] == "close"


def test_upload_that_stalls_during_a_stop_is_refused(running: Running) -> None:
    with connect(running.server.port) as client:
        client.sendall(photo_head(1_000_000) + bytes(1000))
        running.wait_a_turn()
        drain(running)
        for _ in range(3):
            wait_for_check(running, 3)
        assert read_response(client)[0] == 408


def test_upload_that_takes_longer_than_the_stop_may_is_refused(running: Running) -> None:
    drain_s = running.server._binding.drain_s
    with connect(running.server.port) as client:
        client.sendall(photo_head(9_000_000) + bytes(1000))
        running.wait_a_turn()
        drain(running)
        while running.now < drain_s - 3:
            client.sendall(bytes(40_000))
            wait_for_check(running, 2)
        running.now = drain_s - 0.5
        status, headers, body = read_response(client)
        assert (status, body["code"], headers["Retry-After"]) == (503, "overloaded", "1")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Run `keylike serve` with a reader that waits for a line on stdin."""
    server = Served(COLOUR, tmp_path / "logs", MODEL_PATH="patient")
    yield server
    with server.process as process:
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_server_finishes_its_request_after_a_signal_and_exits_with_0(
    served: Served, number: int
) -> None:
    with connect(served.port) as client:
        client.sendall(photo_request(plain()))
        until(lambda: served.inside() == 1)
        served.process.send_signal(number)
        until(lambda: not served.listens())
        served.go_on()
        assert read_response(client)[0] == 200
    assert served.process.wait(20) == 0


def start_with_signal(
    arguments: list[str], number: int, logs: Path, *, port: int = 0, ignored: bool = False
) -> int:
    """Run app.py, send it a signal during its imports, and return its exit status.

    Args:
        arguments: The command line.
        number: The signal.
        logs: Folder for logs.
        port: Port to listen on.
        ignored: True to start the process with this signal ignored.
    """
    return subprocess.run(
        [sys.executable, "-c", EARLY_SIGNAL, "app.py", *arguments, str(int(number))],
        cwd=ROOT,
        env={**os.environ, "KEYLIKE_PORT": str(port), "KEYLIKE_LOGS": str(logs)},
        capture_output=True,
        timeout=60,
        preexec_fn=lambda: signal.signal(number, signal.SIG_IGN) if ignored else None,
    ).returncode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("arguments", [[], ["serve"], ["--tunnel"]])
def test_server_exits_with_0_after_a_signal_during_its_imports(
    arguments: list[str], number: int, tmp_path: Path
) -> None:
    assert start_with_signal(arguments, number, tmp_path) == 0


def test_other_command_ends_after_a_signal_during_its_imports(tmp_path: Path) -> None:
    status = start_with_signal(["doctor"], signal.SIGTERM, tmp_path)
    assert status == 128 + signal.SIGTERM


def test_sighup_that_is_ignored_at_start_stays_ignored(running: Running, tmp_path: Path) -> None:
    """Ignore SIGHUP as nohup does.

    The command continues after the signal, and then fails because its port is in use.
    """
    status = start_with_signal([], signal.SIGHUP, tmp_path, port=running.server.port, ignored=True)
    assert status == 2
