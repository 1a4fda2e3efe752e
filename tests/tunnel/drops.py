"""Measures for how long the public address is unavailable after a dropped session.

Meanwhile a local client sends requests and counts failures. `python -m tests.tunnel.drops [times]`
prints one line for each drop and one line of JSON at the end.
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

from keylike.tunnel.session import is_alive
from tests.running import until
from tests.tunnel.standin import Server, StandIn
from tools.plain_pictures import plain


@dataclass
class LocalClient:
    """A client on this machine that sends one request after another, with the tunnel's token."""

    address: str
    token: str
    requests: int = 0
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def run(self, stopped: threading.Event) -> None:
        """Send requests until `stopped` is set, each on a connection of its own as curl does."""
        while not stopped.wait(0.02):
            started = time.monotonic()
            status = read(self.address, self.token)
            self.slowest_s = max(self.slowest_s, time.monotonic() - started)
            self.requests += 1
            if status != 200:
                self.failures.append(str(status))


def read(address: str, token: str, client: str = "203.0.113.9") -> int | str:
    """Post a photo and return the status, or the name of the connection error."""
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


def measure_drops(standin: StandIn, server: Server, times: int) -> tuple[list[float], LocalClient]:
    """Drop the session several times while a local client sends requests.

    Returns:
        The seconds from each drop until a public address works again, which may be another one,
        and the local client.
    """
    address, token = server.public_link()
    local, stopped = LocalClient(server.local(), token), threading.Event()
    thread = threading.Thread(target=local.run, args=(stopped,))
    thread.start()
    away_s = []
    try:
        for _ in range(times):
            assert read(address, token) == 200
            started = time.monotonic()
            standin.send_signal(signal.SIGUSR1)
            until(lambda address=address: not is_alive(address))  # type: ignore[misc]
            until(lambda: read(server.public_link()[0], token) == 200)
            away_s.append(time.monotonic() - started)
            address = server.public_link()[0]
    finally:
        stopped.set()
        thread.join()
    return away_s, local


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def main(times: int) -> None:
    """Run the measurement and print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        standin, home = StandIn(Path(folder) / "ngrok"), Path(folder) / "home"
        home.mkdir()
        server = Server(standin, home, KEYLIKE_LIMIT_FREE="1000000 per hour")
        try:
            away_s, local = measure_drops(standin, server, times)
        finally:
            server.end()
        until(standin.gone)
    for number, seconds in enumerate(away_s, 1):
        print(f"drop {number}: the public address works again after {seconds:.2f} s")
    figures = {
        "drops": times,
        "away_s": [round(each, 2) for each in away_s],
        "local_requests": local.requests,
    }
    print(
        json.dumps(
            figures
            | {"local_failures": len(local.failures), "local_slowest_s": round(local.slowest_s, 3)}
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
