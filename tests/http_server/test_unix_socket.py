"""Tests of a server that listens on a Unix socket, over real connections."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keylike.settings import Settings
from tests.fakes import ColourReader
from tests.running import Running
from tools.plain_pictures import RED, plain

PHOTO = plain(RED)
Serve = Callable[..., Running]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the Unix socket."""
    return tmp_path / "k.sock"


@pytest.fixture
def serve(settings: Settings, path: Path) -> Iterator[Serve]:
    """Return a function that starts servers on the Unix socket."""
    started: list[Running] = []

    def start(**changes: Any) -> Running:
        changes = {"host": f"unix:{path}"} | changes
        started.append(Running(settings.model_copy(update=changes), ColourReader()))
        return started[-1]

    yield start
    for running in started:
        running.stop()


def post(path: Path, target: str = "POST /predict", *headers: str) -> tuple[int, dict[str, Any]]:
    """Send a photo over the Unix socket and return the status and the body."""
    head = [f"{target} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    head += ["Content-Type: image/jpeg", f"Content-Length: {len(PHOTO)}"]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + PHOTO)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head_bytes, _, body = answer.partition(b"\r\n\r\n")
    return int(head_bytes.split()[1]), json.loads(body)


def test_server_on_a_unix_socket_reads_photos(serve: Serve, path: Path) -> None:
    serve(policy="open")
    status, body = post(path)
    assert (status, body["bitting"]) == (200, "2,5,4,7,3")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660


def test_client_of_a_unix_socket_is_not_local(serve: Serve, path: Path) -> None:
    """Send requests without a token: a proxy could forward requests of anybody to the socket."""
    serve()
    assert post(path)[0] == 401
    assert post(path, "GET /metrics")[0] == 401


def test_client_address_of_a_proxy_on_a_unix_socket_counts_if_trusted(
    serve: Serve, path: Path
) -> None:
    for proxy, expected in (("unix", [200, 200, 429]), (None, [200, 429, 429])):
        running = serve(
            policy="open", limits="on", limit_address="1 per minute", proxy=proxy, cache_ttl_s=0
        )
        addresses = ("192.0.2.1", "192.0.2.2", "192.0.2.1")
        statuses = [post(path, "POST /predict", f"X-Forwarded-For: {each}") for each in addresses]
        assert [status for status, _ in statuses] == expected
        running.stop()


def test_unix_socket_is_removed_at_a_stop_and_replaced_after_a_crash(
    serve: Serve, path: Path
) -> None:
    running = serve(policy="open")
    running.stop()
    assert not path.exists()
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    serve(policy="open")
    assert post(path)[0] == 200


def test_unix_socket_in_use_and_other_files_are_not_replaced(serve: Serve, path: Path) -> None:
    serve(policy="open")
    with pytest.raises(OSError, match="in use"):
        serve(policy="open")
    assert post(path)[0] == 200
    other = path.with_name("file")
    other.write_text("kept")
    with pytest.raises(OSError, match="in use"):
        serve(policy="open", host=f"unix:{other}")
    assert other.read_text() == "kept"


@pytest.mark.parametrize("host", ["unix:", "unix:relative", "unix:/" + "x" * 200])
def test_setting_with_an_invalid_socket_path_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="absolute path of a socket"):
        Settings(host=host)
