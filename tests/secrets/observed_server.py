"""A server process whose complete output is collected, and functions to send requests to it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.collector import Collector
from tests.secrets.canaries import ADDRESS, FORWARDED, TOKEN, ZIPCODE

ROOT = Path(__file__).resolve().parents[2]
BOUNDARY = "c4nary-boundary"
# Headers with canaries, which a client may send with every request.
CLIENT_HEADERS = {
    "User-Agent": "c4nary-agent",
    "Referer": "https://c4nary.example/page",
    "Cookie": "c4nary=cookie",
    "X-C4nary": "c4nary-header",
    "X-Forwarded-For": FORWARDED,
    "X-Real-IP": FORWARDED,
    "X-Request-Id": "c4nary-id",
}


@dataclass(frozen=True)
class Answer:
    """One response of the server."""

    status: int
    headers: str
    body: bytes

    @property
    def code(self) -> str | None:
        """Return the error code in the body, or None for a success."""
        found: str | None = json.loads(self.body).get("code")
        return found


class ObservedServer:
    """A server process that writes all its files into the folder `home`."""

    def __init__(
        self, home: Path, command: list[str], collector: Collector | None = None, **settings: str
    ) -> None:
        self.home, self.collector = home, collector
        self.temporary = home / "temporary"
        self.temporary.mkdir(parents=True)
        self.created_ns = self.temporary.stat().st_mtime_ns
        places = {
            "KEYLIKE_LOGS": str(home / "logs"),
            "KEYLIKE_TOKENS": str(home / "tokens.sqlite3"),
            "TMPDIR": str(self.temporary),
            "HOME": str(home),
        }
        chosen = {
            "KEYLIKE_PORT": "0",
            "KEYLIKE_LOG_LEVEL": "DEBUG",
            "KEYLIKE_API_KEY": TOKEN,
            **places,
            **settings,
        }
        if collector:
            chosen["KEYLIKE_OTEL_ENDPOINT"] = collector.url
        self._out, self._err = (home / "stdout").open("wb"), (home / "stderr").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, **chosen},
            stdin=subprocess.PIPE,
            stdout=self._out,
            stderr=self._err,
        )
        self.port = self._port()

    def _port(self) -> int:
        limit = time.monotonic() + 30
        while time.monotonic() < limit and self.process.poll() is None:
            match = re.search(r"http://127\.0\.0\.1:(\d+)", (self.home / "stdout").read_text())
            if match:
                return int(match[1])
        raise AssertionError((self.home / "stderr").read_text())

    def wait_until_ready(self) -> None:
        """Wait until the server reads photos."""
        limit = time.monotonic() + 30
        while self.request("GET", "/health/ready").status != 200:
            assert time.monotonic() < limit

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        content: str | None = None,
        source: str = ADDRESS,
        **more: str,
    ) -> Answer:
        """Send one request from a loopback address that no other test uses.

        `more` contains headers, with underscores in their names instead of dashes.
        """
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=30, source_address=(source, 0)
        )
        headers = (
            CLIENT_HEADERS
            | ({"Content-Type": content} if content else {})
            | {name.replace("_", "-"): value for name, value in more.items()}
        )
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        answer = Answer(response.status, str(response.headers), response.read())
        connection.close()
        return answer

    def raw(self, data: bytes) -> bytes:
        """Send raw bytes and return everything that the server sends."""
        with socket.create_connection(
            ("127.0.0.1", self.port), timeout=30, source_address=(ADDRESS, 0)
        ) as connection:
            answer = b""
            # The server may close the connection before it has read everything.
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                for piece in iter(lambda: connection.recv(65536), b""):
                    answer += piece
            return answer

    def operator_pages(self) -> dict[str, bytes]:
        """Return all pages for the operator by path. Their requests contain only the token."""
        paths = (
            "/metrics",
            "/debug/performance",
            "/debug/memory",
            "/cache/stats",
            "/health",
            "/health/detailed",
            "/",
            "/openapi.json",
        )
        return {path: self._get(path) for path in paths}

    def _get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path, headers={"X-API-Key": TOKEN})
        response = connection.getresponse()
        data = response.read()
        connection.close()
        assert response.status == 200, (path, data)
        return data

    def stop(self) -> dict[str, bytes]:
        """Stop the server and return everything that it has written, by file or trace."""
        self.process.terminate()
        self.process.communicate(timeout=30)
        self._out.close()
        self._err.close()
        assert self.process.returncode == 0, (self.home / "stderr").read_text()
        written = {
            str(path.relative_to(self.home)): path.read_bytes()
            for path in sorted(self.home.rglob("*"))
            if path.is_file()
        }
        sent = (
            {f"trace {number}": body for number, (_, body) in enumerate(self.collector.got)}
            if self.collector
            else {}
        )
        return written | sent

    def kill(self) -> None:
        """Kill the process if it still runs."""
        with self.process as process:
            process.kill()
        self._out.close()
        self._err.close()


def require_address() -> None:
    """Skip the test on systems that have only one loopback address."""
    with socket.socket() as probe:
        try:
            probe.bind((ADDRESS, 0))
        except OSError:
            pytest.skip(f"{ADDRESS} cannot be bound: unlike on Linux, loopback is one address")


def form(photo: bytes, count: int = 1, **fields: str) -> bytes:
    """Return a form with photos and fields. The names of the files contain canaries."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    for number in range(count):
        head = (
            f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
            f'name="image"; filename="c4nary-{number}.jpg"\r\n'
        )
        parts.append(
            f"{head}Content-Type: image/jpeg\r\nX-C4nary: part\r\n\r\n".encode() + photo + b"\r\n"
        )
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


def as_json(photo: bytes) -> bytes:
    """Return a JSON body with a photo and an unknown field, which contains a canary."""
    return json.dumps(
        {"image_data": base64.b64encode(photo).decode(), "zipcode": ZIPCODE, "c4nary": "c4nary"}
    ).encode()
