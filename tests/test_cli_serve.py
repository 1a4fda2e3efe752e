"""Tests of `keylike serve` as a process: responses while the model loads, and a clean shutdown."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.collector import Collector
from tests.running import until
from tools.plain_pictures import plain

ROOT = Path(__file__).resolve().parent.parent
FIRST = json.loads((ROOT / "samples" / "labels.jsonl").read_text().splitlines()[0])
COLOUR, REAL = ["-m", "tests.serve_colour"], ["app.py"]


class Served:
    """A server process. `environment` contains its settings."""

    def __init__(self, command: list[str], logs: Path, **environment: str) -> None:
        settings = {"KEYLIKE_PORT": "0", "KEYLIKE_LOGS": str(logs), **environment}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, **settings},
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )
        self.greeting = self.line()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.greeting)
        assert found, self.process.communicate(timeout=20)
        self.port = int(found[1])

    def line(self) -> str:
        """Return the next line of the output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def line_with(self, word: str) -> str:
        """Return the next line of the output that starts with `word`."""
        return next(line for line in iter(self.line, "") if line.startswith(word))

    def ask(
        self, method: str, path: str, body: bytes | None = None
    ) -> tuple[int, str | None, dict[str, Any]]:
        """Send one request and return the status, the header Retry-After and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body, {"Content-Type": "image/jpeg"} if body else {})
        response = connection.getresponse()
        answer = response.status, response.headers["Retry-After"], json.loads(response.read())
        connection.close()
        return answer

    def inside(self) -> int:
        """Return the number of photos that were admitted and are not finished yet."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        names = ("keylike_queue_photos ", "keylike_decoding_photos ", "keylike_reading_photos ")
        return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith(names))

    def listens(self) -> bool:
        """Return True if the server accepts new connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=20).close()
        except ConnectionRefusedError:
            return False
        return True

    def go_on(self) -> None:
        """Send the line on stdin for which a reader of tests/serve_colour.py waits."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal and return the exit status and the rest of stdout and stderr."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Any]:
    """Yield a function that starts servers. Kill them after the test."""
    started: list[Served] = []

    def start(command: list[str], **environment: str) -> Served:
        started.append(Served(command, tmp_path / "logs", **environment))
        return started[-1]

    yield start
    for each in started:
        with each.process as process:
            process.kill()


def test_server_responds_while_the_model_loads(serve: Any, tmp_path: Path) -> None:
    server: Served = serve(COLOUR, MODEL_PATH="held")
    assert "with the model held, which is still loading;" in server.greeting
    assert server.ask("GET", "/health/live")[0] == 200
    assert server.ask("GET", "/")[2]["model"] is None
    health = server.ask("GET", "/health")[2]
    assert (health["status"], health["model_loaded"], health["reason"]) == ("loading", False, None)
    for method, path, body in (
        ("GET", "/health/ready", None),
        ("GET", "/health/startup", None),
        ("POST", "/", plain()),
    ):
        status, retry_after, answer = server.ask(method, path, body)
        assert (status, answer["code"], retry_after) == (503, "model_loading", "5")
    server.go_on()
    assert server.line_with("Ready") == "Ready: colour-1.0.0 reads.\n"
    assert server.ask("GET", "/health/ready")[0] == 200
    assert server.ask("GET", "/health")[2]["status"] == "healthy"
    assert server.ask("POST", "/", plain())[2]["bitting"] == "2,5,4,7,3"
    status, out, _ = server.stop()
    assert (status, out.splitlines()[-1]) == (0, "Stopped.")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_server_can_stop_while_the_model_loads(serve: Any, number: int) -> None:
    server: Served = serve(COLOUR, MODEL_PATH="held")
    assert server.ask("GET", "/health/live")[0] == 200
    status, out, err = server.stop(number)
    assert (status, err.count("Traceback"), out.splitlines()[-1]) == (0, 0, "Stopped.")


class Load:
    """Six requests with different photos, sent to a server whose reader waits."""

    def __init__(self, server: Served) -> None:
        self.server = server
        self._threads = ThreadPoolExecutor(6)
        photos = [plain(size=(40 + number, 40)) for number in range(6)]
        self.asked: list[Future[tuple[int, str | None, dict[str, Any]]]] = [
            self._threads.submit(server.ask, "POST", "/predict", photo) for photo in photos
        ]
        until(lambda: server.inside() == 6)

    def begin_stop(self) -> None:
        """Send SIGTERM and wait until new connections are refused."""
        self.server.process.send_signal(signal.SIGTERM)
        until(lambda: not self.server.listens())


def test_admitted_requests_are_finished_during_a_shutdown(serve: Any) -> None:
    server: Served = serve(COLOUR, MODEL_PATH="patient")
    load = Load(server)
    # A connection with an incomplete request is not idle, so it stays open during the shutdown.
    health = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    health.sendall(b"GET /health/ready HTTP/1.1\r\n")
    load.begin_stop()
    health.sendall(b"Host: localhost\r\n\r\n")
    assert health.recv(100).startswith(b"HTTP/1.1 503 ")
    assert not any(one.done() for one in load.asked)
    server.go_on()
    assert [one.result(20)[0] for one in load.asked] == [200] * 6
    out, err = server.process.communicate(timeout=20)
    health.close()
    assert (server.process.returncode, out.splitlines()[-1], "Traceback" in err) == (
        0,
        "Stopped.",
        False,
    )


def test_second_signal_ends_the_server_at_once(serve: Any) -> None:
    server: Served = serve(COLOUR, MODEL_PATH="patient")
    load = Load(server)
    load.begin_stop()
    assert server.process.poll() is None
    status, out, err = server.stop()
    assert (status, "Stopped." in out, "Traceback" in err) == (128 + signal.SIGTERM, False, False)
    for one in load.asked:
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            one.result(20)


def test_embedded_reader_reads_the_code_that_the_start_message_shows(serve: Any) -> None:
    server: Served = serve(REAL)
    # The server waits a moment for the model before it prints its address. On a busy machine that
    # may be too short, so do not check if the model is ready by then.
    assert "with the model caliper" in server.greeting
    assert server.line() == "Ready: caliper-1.3.0 reads.\n"
    assert server.line().startswith("Try it:  curl -F image=@")
    status, _, body = server.ask("POST", "/", (ROOT / "samples" / FIRST["file"]).read_bytes())
    assert (status, body.get("bitting")) == (200, ",".join(map(str, FIRST["bitting"])))
    assert server.line() == f"It should read {FIRST['keyway']} {body['bitting']}\n"
    assert server.stop()[0] == 0


def test_embedded_reader_replaces_a_model_that_cannot_be_loaded(serve: Any) -> None:
    server: Served = serve(REAL, MODEL_PATH="/none/gemma")
    line = server.line_with("Degraded")
    assert line.startswith("Degraded: only caliper-1.3.0 reads. /none/gemma: gemma does not exist")
    health = server.ask("GET", "/health")[2]
    assert (health["status"], health["model"]) == ("degraded", "caliper-1.3.0")
    assert "gemma does not exist" in health["reason"] and "/none" not in health["reason"]
    assert server.ask("GET", "/health/ready")[0] == 200
    status, _, body = server.ask("POST", "/", (ROOT / "samples" / FIRST["file"]).read_bytes())
    assert (status, body["model_used"]) == (200, "caliper-1.3.0")


def test_crash_while_loading_is_logged_without_secrets(serve: Any, tmp_path: Path) -> None:
    server: Served = serve(COLOUR, MODEL_PATH="/none/broken")
    assert server.line_with("Degraded").endswith(
        "/none/broken: the model could not be loaded (RuntimeError)\n"
    )
    assert (
        server.ask("GET", "/health")[2]["reason"] == "the model could not be loaded (RuntimeError)"
    )
    _, out, err = server.stop()
    logged = (tmp_path / "logs" / "api.log").read_text()
    crash = next(
        line for line in map(json.loads, logged.splitlines()) if line["event"] == "model_crash"
    )
    assert crash["error"] == "RuntimeError" and "serve_colour.py" in crash["places"][-1]
    assert not any(
        secret in text for secret in ("canary", "/secret") for text in (out, err, logged)
    )


def test_strict_server_exits_if_loading_the_model_crashes(tmp_path: Path) -> None:
    settings = {"KEYLIKE_PORT": "0", "KEYLIKE_LOGS": str(tmp_path), "MODEL_PATH": "/none/broken"}
    done = subprocess.run(
        [sys.executable, *COLOUR],
        cwd=ROOT,
        env={**os.environ, **settings, "KEYLIKE_STRICT": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    message = "keylike: /none/broken: the model could not be loaded (RuntimeError)"
    assert done.stderr.splitlines()[-1] == message
    assert "Traceback" not in done.stderr


def test_serve_options_take_precedence_over_settings(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for words in (["--port", str(port)], ["serve", "--port", str(port)]):
            done = subprocess.run(
                [sys.executable, *REAL, *words, "--host", "127.0.0.1"],
                cwd=ROOT,
                env={**os.environ, "KEYLIKE_PORT": "tcp://10.0.0.1:5000", "KEYLIKE_HOST": "none"},
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert (done.returncode, done.stdout) == (2, "")
            assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr
            assert "another port with --port" in done.stderr


def test_last_traces_are_sent_before_the_server_stops(serve: Any) -> None:
    pytest.importorskip(
        "opentelemetry.sdk",
        reason="OpenTelemetry is an extra: pip install -r locks/otel.txt",
    )
    collector = Collector()
    server: Served = serve(COLOUR, KEYLIKE_OTEL_ENDPOINT=collector.url)
    server.line_with("Ready")
    assert server.ask("POST", "/", plain())[0] == 200
    status, out, _ = server.stop()
    assert (status, out.splitlines()[-1]) == (0, "Stopped.")
    assert [path for path, _ in collector.got] == ["/v1/traces"]
    collector.close()


def test_metrics_count_requests_that_the_socket_server_refuses(serve: Any) -> None:
    server: Served = serve(COLOUR)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nContent-Length: canary\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/metrics")
    assert (
        b'keylike_requests_total{method="other",route="other",status="400"} 1.0'
        in connection.getresponse().read()
    )
    connection.close()
