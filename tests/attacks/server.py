"""Server process for attacks, with methods to send requests and to measure its memory."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.running import until
from tools.plain_pictures import plain

ROOT = Path(__file__).resolve().parents[2]
# A unique string that the attacks put into every field. No response may contain it.
MARK = "c4naryMark"
# A pattern of texts that no response may contain: tracebacks, paths, names of libraries, and MARK.
_UNWANTED = re.compile(
    rf"Traceback|\.py\b|0x[0-9a-f]{{6}}|/(home|usr|tmp|work|var|etc)/|PIL|Pillow|werkzeug|waitress|libheif|<html|{MARK}"
)


@dataclass(frozen=True, slots=True)
class Reply:
    """One response, with header names in lower case."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        """Return the JSON body."""
        found: dict[str, Any] = json.loads(self.raw)
        return found

    def check(self, status: int, code: str | None = None) -> dict[str, Any]:
        """Check the status and the error code, and that the response contains nothing internal.

        Without a code the response must be a success. Returns the body.
        """
        assert self.headers["content-type"] == "application/json"
        body, shown = self.body, self.raw.decode() + str(self.headers)
        assert (self.status, body.get("code"), body["success"]) == (status, code, code is None), (
            shown[:600]
        )
        assert not _UNWANTED.search(shown), shown[:600]
        return body


class TargetServer:
    """A server process under attack."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process, self.port = process, port
        self.reset_memory()

    def connect(self) -> http.client.HTTPConnection:
        """Return a new connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def post(
        self, body: Any, kind: str = "image/jpeg", path: str = "/predict", **headers: str
    ) -> Reply:
        """Post a body. Underscores in the names of `headers` become dashes."""
        return self.request(
            "POST",
            path,
            body,
            {"Content-Type": kind}
            | {name.replace("_", "-"): value for name, value in headers.items()},
        )

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send one request on a new connection."""
        connection = self.connect()
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, _plain(response), response.read())
        finally:
            connection.close()

    def send_raw(self, *sent: bytes, method: str = "POST") -> Reply:
        """Send raw bytes and return the first response."""
        return next(self._exchange(sent, method))

    def send_raw_all(self, *sent: bytes, method: str = "POST") -> list[Reply]:
        """Send raw bytes and return all responses until the server closes the connection."""
        replies: list[Reply] = []
        with suppress(ConnectionResetError):
            replies.extend(self._exchange(sent, method))
        return replies

    def _exchange(self, sent: tuple[bytes, ...], method: str) -> Iterator[Reply]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as raw:
            # The server may close the connection before everything has been sent.
            with suppress(BrokenPipeError, ConnectionResetError):
                for piece in sent:
                    raw.sendall(piece)
            with raw.makefile("rb") as stream:
                yield from _replies(stream, method)

    def check_reads_photo(self) -> None:
        """Check that a photo is read correctly."""
        body = self.post(plain(), Cache_Control="no-cache").check(200)
        assert (body["keyway"], body["bitting"]) == ("SC1", "2,5,4,7,3")

    def reset_memory(self) -> None:
        """Start a new measurement of memory.

        Only root can reset the peak. For other users it is the peak since the server started.
        """
        with contextlib.suppress(PermissionError):
            Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")
        self._idle = self._mb("VmRSS")

    def grown_mb(self) -> tuple[int, int]:
        """Return by how many MiB the peak and the current memory exceed that of the idle server."""
        return self._mb("VmHWM") - self._idle, self._mb("VmRSS") - self._idle

    def check_healthy(self, max_peak_mb: int, max_left_mb: int = 150) -> None:
        """Check that the server still reads photos.

        Args:
            max_peak_mb: Allowed growth of the peak memory since the start of the measurement.
            max_left_mb: Allowed growth of the memory that is still in use.
        """
        assert self._process.poll() is None
        self.check_reads_photo()
        peak, left = self.grown_mb()
        print(f"peak {peak} MB, left {left} MB above idle {self._idle} MB")
        assert peak < max_peak_mb
        assert left < max_left_mb

    def _mb(self, field: str) -> int:
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field)) // 1024


@contextmanager
def run_server(
    folder: Path, module: str = "tests.serve_colour", **settings: str
) -> Iterator[TargetServer]:
    """Run a server process on a free port and stop it afterwards."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KEYLIKE_", "OTEL_", "MODEL_PATH", "NGROK_"))
    }
    # Tokens and limits would refuse most attacks before they are handled.
    open_to_all = {"KEYLIKE_POLICY": "open", "KEYLIKE_LIMITS": "off"}
    environment = {
        **inherited,
        **open_to_all,
        "KEYLIKE_PORT": "0",
        "KEYLIKE_LOGS": str(folder / "logs"),
        **settings,
    }
    command = [sys.executable, "-m", module, *(["serve"] if module == "app" else [])]
    output = folder / "output"
    with (
        output.open("w") as out,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out) as process,
    ):
        address = re.compile(r"http://127\.0\.0\.1:(\d+)")
        until(lambda: address.search(output.read_text()) is not None)
        target = TargetServer(process, int(address.findall(output.read_text())[0]))
        until(lambda: target.request("GET", "/health/ready").status == 200)
        yield target
        process.terminate()
        process.wait(20)


def _plain(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _replies(stream: Any, method: str) -> Iterator[Reply]:
    class FakeSocket:
        """A substitute for the socket of http.client."""

        def makefile(self, _mode: str) -> Any:
            return stream

    # Keep every response, because the garbage collector would close the stream with it.
    kept = []
    while stream.peek(1):
        kept.append(response := http.client.HTTPResponse(FakeSocket(), method=method))  # type: ignore[arg-type]
        response.begin()
        length = int(response.headers["Content-Length"]) if method != "HEAD" else 0
        content = stream.read(length)
        if len(content) < length:
            # The kernel discards received data when the server resets the connection.
            raise ConnectionResetError
        yield Reply(response.status, _plain(response), content)
