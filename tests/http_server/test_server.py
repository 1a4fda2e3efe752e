"""Tests of the server on real sockets: large uploads, broken HTTP, deadlines and shutdown."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keylike.http_server.server import Binding, Server
from keylike.settings import Settings
from tests.log_text import log_text
from tests.running import PatientReader, Running, until
from tools.plain_pictures import many_frames, many_scans, plain, png, with_text_bomb

ROOT = Path(__file__).resolve().parent.parent.parent
JPEG, JSON, FORM = (
    {"Content-Type": kind}
    for kind in ("image/jpeg", "application/json", "application/x-www-form-urlencoded")
)


def test_two_photos_on_one_connection_are_read(running: Running) -> None:
    connection = running.connect()
    for _ in range(2):
        connection.request("POST", "/", plain(), JPEG)
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["bitting"]) == (200, "2,5,4,7,3")
    connection.close()


def test_upload_of_30_mb_gets_a_413_instead_of_a_reset(running: Running) -> None:
    connection = running.connect()
    connection.request("POST", "/", bytes(30_000_000), JPEG)
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["code"]) == (413, "image_too_large")
    # The connection can still be used.
    connection.request("GET", "/health/live")
    assert connection.getresponse().status == 200
    connection.close()


def test_upload_of_30_mb_in_chunks_gets_a_413(running: Running) -> None:
    connection = running.connect()
    connection.request("POST", "/", iter([bytes(1_000_000)] * 30), JPEG, encode_chunked=True)
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["code"]) == (413, "image_too_large")
    connection.close()


def test_upload_in_chunks_below_the_limit_is_read(running: Running) -> None:
    connection = running.connect()
    connection.request("POST", "/", iter([plain()]), JPEG, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\ngarbage\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    ],
)
def test_broken_http_gets_a_json_error_and_is_logged(
    running: Running, settings: Settings, sent: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", running.server.port), timeout=20) as raw:
        raw.sendall(sent)
        response = http.client.HTTPResponse(raw)
        response.begin()
        body = json.loads(response.read())
        assert (response.status, body["success"], response.headers["Content-Type"]) == (
            status,
            False,
            "application/json",
        )
    logged = json.loads(log_text(settings.logs))
    assert (logged["request_id"], logged["status"], logged["failure"]) == (
        body["request_id"],
        status,
        body["code"],
    )


def release_times(requests: list[tuple[float, bytes]]) -> list[float]:
    """Send requests and return the times at which the server released memory.

    Each of `requests` is a time in seconds and a body, which is sent twice at that time.
    """
    released_at, now = [], [0.0]

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        start("200 OK", [("Content-Length", "0")])
        return []

    server = Server(
        application,
        Binding("127.0.0.1", 0, 1, 1000, 1000),
        render_error=lambda status, origin: (status, {}, {}),
        draining=threading.Event(),
        clock=lambda: now[0],
        release_memory=lambda: released_at.append(now[0]),
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for seconds, body in requests:
        now[0] = seconds
        for _ in range(2):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            connection.request("POST", "/", body)
            assert connection.getresponse().status == 200
            connection.close()
    server.stop()
    thread.join(20)
    return released_at


def test_memory_is_released_once_after_an_idle_period() -> None:
    assert release_times([(0.0, b""), (10.0, b"a"), (12.0, b""), (14.0, b""), (20.0, b"")]) == [
        14.0
    ]


def test_memory_is_released_every_five_seconds_under_continuous_load() -> None:
    assert release_times([(float(at), b"a") for at in range(100, 112)]) == [105.0, 110.0]


def test_stop_waits_for_the_request_in_progress(running: Running, reader: PatientReader) -> None:
    reader.allowed.clear()
    statuses: list[int] = []

    def post() -> None:
        connection = running.connect()
        connection.request("POST", "/", plain(), JPEG)
        statuses.append(connection.getresponse().status)
        connection.close()

    client = threading.Thread(target=post)
    client.start()
    assert reader.asked.wait(20)
    running.server.stop()
    reader.allowed.set()
    client.join(20)
    running.thread.join(20)
    assert statuses == [200]
    with pytest.raises(ConnectionRefusedError):
        running.connect().connect()


def test_server_raises_oserror_if_its_port_is_in_use(running: Running, settings: Settings) -> None:
    binding = Binding("127.0.0.1", running.server.port, 1, 1000, 1000)
    with pytest.raises(OSError, match="in use"):
        Server(
            None,
            binding,
            render_error=lambda status, origin: (status, {}, {}),
            draining=threading.Event(),
        )


def test_server_that_never_ran_frees_its_port_and_threads_when_closed() -> None:
    threads = threading.active_count()
    server = Server(
        None,
        Binding("127.0.0.1", 0, 3, 1000, 1000),
        render_error=lambda status, origin: (status, {}, {}),
        draining=threading.Event(),
    )
    assert threading.active_count() == threads + 3
    for _ in range(2):
        server.close()
    until(lambda: threading.active_count() == threads)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", server.port))


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `keylike serve` on a free port. Kill the process after the test."""
    command = [sys.executable, "-m", "tests.serve_colour"]
    environment = {**os.environ, "KEYLIKE_PORT": "0", "KEYLIKE_LOGS": str(tmp_path / "logs")}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        yield started
        started.kill()


def port_of(process: subprocess.Popen[str]) -> int:
    """Return the port that the first line of the output names."""
    assert process.stdout is not None
    found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
    assert found
    return int(found[1])


def memory_mb(process: subprocess.Popen[str], field: str) -> int:
    """Return the current (VmRSS) or peak (VmHWM) memory of the process in MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith(field)) // 1024


def test_process_keeps_its_memory_small_under_attack_and_stops_on_sigterm(
    process: subprocess.Popen[str],
) -> None:
    bombs = [
        png(20_000, 20_000),
        with_text_bomb(plain(kind="PNG")),
        many_frames(),
        many_scans(100_000, (7000, 7000)),
    ]
    bombs += [png(7000, 7000, bits=8, colour_type=6), plain(kind="WEBP", size=(3700, 3700))]
    pictures = [*bombs, bytes(30_000_000), plain() + bytes(10_000_000), b"%PDF"]
    tiny_objects = b'{"x": [' + b"{}," * 4_000_000 + b"0]}"
    tiny_lines = b'{"image_data": "' + b"AA " * 4_900_000 + b'"}'
    others = [(tiny_objects, JSON), (tiny_lines, JSON), (b"a&" * 7_000_000, FORM)]
    connection = http.client.HTTPConnection("127.0.0.1", port_of(process), timeout=20)
    idle = memory_mb(process, "VmRSS")
    statuses = []
    for body, headers in [*((picture, JPEG) for picture in pictures), *others, (plain(), JPEG)]:
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()
        statuses.append(response.status)
        response.read()
    peak, left = memory_mb(process, "VmHWM") - idle, memory_mb(process, "VmRSS") - idle
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    connection.close()
    assert process.returncode == 0
    assert statuses == [413, 200, 200, 400, 422, 200, 413, 413, 415, 400, 415, 400, 200]
    assert "Stopped." in out
    assert peak < 300
    assert left < 100


def test_process_exits_on_ctrl_c_without_a_traceback(process: subprocess.Popen[str]) -> None:
    port_of(process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, "Traceback" in err) == (0, False)


def test_process_prints_one_line_if_its_port_is_in_use(running: Running, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "KEYLIKE_PORT": str(running.server.port),
        "KEYLIKE_LOGS": str(tmp_path),
    }
    command = [sys.executable, "-m", "tests.serve_colour"]
    second = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 2
    assert f"cannot listen on 127.0.0.1:{running.server.port}" in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1
