"""How long the public address is away when the session drops, and what a program on this machine notices of it.

`python -m tests.tunnel.drops [times]` prints a line for each drop and one of JSON at the end.
"""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from keylike.tunnel.public import answers
from tests.running import until
from tests.tunnel.standin import Server, StandIn
from tools.plain_pictures import plain


@dataclass
class Local:
    """A program on this machine that asks for readings without a pause, with the token of the tunnel, until it is told to stop."""

    address: str
    token: str
    asked: int = 0
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def run(self, over: threading.Event) -> None:
        """One connection a request, as curl would."""
        while not over.wait(0.02):
            began = time.monotonic()
            status = read(self.address, self.token)
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            self.asked += 1
            if status != 200:
                self.failures.append(str(status))


def read(address: str, token: str, client: str = "203.0.113.9") -> int | str:
    """The status of one reading, or what went wrong with the connection."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    try:
        connection.request(
            "POST",
            "/",
            plain(),
            {"Content-Type": "image/jpeg", "X-API-Key": token, "X-Test-Client": client},
        )
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


def drop_again_and_again(standin: StandIn, server: Server, times: int) -> tuple[list[float], Local]:
    """Seconds from each drop until readings come through the public address again; it may be another then."""
    address, token = server.link()
    local, over = Local(server.local(), token), threading.Event()
    thread = threading.Thread(target=local.run, args=(over,))
    thread.start()
    away = []
    try:
        for _ in range(times):
            assert read(address, token) == 200
            began = time.monotonic()
            standin.tell(signal.SIGUSR1)
            until(lambda address=address: not answers(address))  # type: ignore[misc]
            until(lambda: read(server.link()[0], token) == 200)
            away.append(time.monotonic() - began)
            address = server.link()[0]
    finally:
        over.set()
        thread.join()
    return away, local


def free_port() -> int:
    """One of this machine's."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def main(times: int) -> None:
    """The trial."""
    with tempfile.TemporaryDirectory() as folder:
        standin, home = StandIn(Path(folder) / "ngrok"), Path(folder) / "home"
        home.mkdir()
        server = Server(standin, home, KEYLIKE_LIMIT_FREE="1000000 per hour")
        try:
            away, local = drop_again_and_again(standin, server, times)
        finally:
            server.end()
        until(standin.gone)
    for number, seconds in enumerate(away, 1):
        print(f"drop {number}: the public address works again after {seconds:.2f} s")
    figures = {
        "drops": times,
        "away_s": [round(each, 2) for each in away],
        "local_requests": local.asked,
    }
    print(
        json.dumps(
            figures
            | {"local_failures": len(local.failures), "local_slowest_s": round(local.slowest_s, 3)}
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
