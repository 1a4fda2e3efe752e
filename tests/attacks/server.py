"""A server to attack, in a process of its own: what is sent to it, what comes back, and what it takes of memory meanwhile."""

from __future__ import annotations

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
# What an attacker writes wherever there is room: no answer may bring it back.
MARK = "c4naryMark"
# A traceback, a path, a library's own words: none of them is for whoever asks.
_UNWANTED = re.compile(
    rf"Traceback|\.py\b|0x[0-9a-f]{{6}}|/(home|usr|tmp|work|var|etc)/|PIL|Pillow|werkzeug|waitress|libheif|<html|{MARK}"
)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        """Its JSON."""
        found: dict[str, Any] = json.loads(self.raw)
        return found

    def check(self, status: int, code: str | None = None) -> dict[str, Any]:
        """That it is this failure (or, without a code, a success) in Keylike's own words; gives the body."""
        assert self.headers["content-type"] == "application/json"
        body, shown = self.body, self.raw.decode() + str(self.headers)
        assert (self.status, body.get("code"), body["success"]) == (status, code, code is None), (
            shown[:600]
        )
        assert not _UNWANTED.search(shown), shown[:600]
        return body


class Attacked:
    """The server, by its port and its process."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process, self.port = process, port
        self.calm()

    def connect(self) -> http.client.HTTPConnection:
        """A connection of one's own."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def post(
        self, body: Any, kind: str = "image/jpeg", path: str = "/predict", **headers: str
    ) -> Reply:
        """What POST brings back."""
        return self.ask(
            "POST",
            path,
            body,
            {"Content-Type": kind}
            | {name.replace("_", "-"): value for name, value in headers.items()},
        )

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """What any request brings back, in a connection of its own."""
        connection = self.connect()
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, _plain(response), response.read())
        finally:
            connection.close()

    def raw(self, *sent: bytes, method: str = "POST") -> Reply:
        """The first answer to bytes as they are."""
        return next(self._raws(sent, method))

    def raws(self, *sent: bytes, method: str = "POST") -> list[Reply]:
        """All answers to bytes as they are, until the server hangs up: it must have a reason to."""
        replies: list[Reply] = []
        with suppress(ConnectionResetError):
            replies.extend(self._raws(sent, method))
        return replies

    def _raws(self, sent: tuple[bytes, ...], method: str) -> Iterator[Reply]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as line:
            # Who is refused in the middle may find the line closed.
            with suppress(BrokenPipeError, ConnectionResetError):
                for piece in sent:
                    line.sendall(piece)
            with line.makefile("rb") as answers:
                yield from _replies(answers, method)

    def good(self) -> None:
        """A photo of a key is read right."""
        body = self.post(plain(), Cache_Control="no-cache").check(200)
        assert (body["keyway"], body["bitting"]) == ("SC1", "2,5,4,7,3")

    def calm(self) -> None:
        """Begins to count memory anew, from here."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")
        self._idle = self._mb("VmRSS")

    def grown_mb(self) -> tuple[int, int]:
        """Megabytes above what it had when it was calm: at the peak, and now."""
        return self._mb("VmHWM") - self._idle, self._mb("VmRSS") - self._idle

    def still_well(self, most_mb: int, left_mb: int = 150) -> None:
        """It reads right, and took no more memory than that."""
        assert self._process.poll() is None
        self.good()
        peak, left = self.grown_mb()
        print(f"peak {peak} MB, left {left} MB above idle {self._idle} MB")
        assert peak < most_mb
        assert left < left_mb

    def _mb(self, mark: str) -> int:
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(mark)) // 1024


@contextmanager
def serving(
    folder: Path, module: str = "tests.serve_colour", **settings: str
) -> Iterator[Attacked]:
    """A server on a free port of this machine, ended afterwards."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KEYLIKE_", "OTEL_", "MODEL_PATH", "NGROK_"))
    }
    # Who attacks is let in, as far as tokens and limits go: what comes in is the question here.
    open_to_all = {"KEYLIKE_POLICY": "open", "KEYLIKE_LIMITS": "off"}
    environment = {
        **inherited,
        **open_to_all,
        "KEYLIKE_PORT": "0",
        "KEYLIKE_LOGS": str(folder / "logs"),
        **settings,
    }
    command = [sys.executable, "-m", module, *(["serve"] if module == "app" else [])]
    said = folder / "said"
    with (
        said.open("w") as out,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out) as process,
    ):
        address = re.compile(r"http://127\.0\.0\.1:(\d+)")
        until(lambda: address.search(said.read_text()) is not None)
        attacked = Attacked(process, int(address.findall(said.read_text())[0]))
        until(lambda: attacked.ask("GET", "/health/ready").status == 200)
        yield attacked
        process.terminate()
        process.wait(20)


def _plain(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _replies(answers: Any, method: str) -> Iterator[Reply]:
    class Line:
        """What http.client takes for a socket."""

        def makefile(self, _mode: str) -> Any:
            return answers

    kept = []  # a response that goes closes what it was read from
    while answers.peek(1):
        kept.append(response := http.client.HTTPResponse(Line(), method=method))  # type: ignore[arg-type]
        response.begin()
        content = answers.read(int(response.headers["Content-Length"])) if method != "HEAD" else b""
        yield Reply(response.status, _plain(response), content)
