"""Fake of ngrok's agent, version 3, that logs, responds and fails like the real one.

It is a real reverse proxy on a local port. Usage: `python agent.py FOLDER start ...`. The files in
FOLDER control and record it:

- "mode" selects a failure;
- "port" sets the port of the public address;
- "seen" receives a line of JSON with arguments, environment and settings, and one per request.

SIGUSR1 drops the agent's session, which is then not restored. The agent no longer lists its public
address, except in the mode "clings".
"""

from __future__ import annotations

import http.client
import http.server
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

FOLDER, ARGUMENTS = Path(sys.argv[1]), sys.argv[2:]
AGENT_SETTINGS = {
    "authtoken",
    "web_addr",
    "inspect_db_size",
    "update_check",
    "remote_management",
    "connect_url",
    "region",
}
ENDPOINT_SETTINGS = {"name", "upstream", "inspect", "url"}
REFUSALS = {
    "no_token": (
        "authentication failed: Usage of ngrok requires a verified "
        "account.\\r\\n\\r\\nERR_NGROK_4018\\r\\n"
    ),
    "bad_token": (
        "authentication failed: Properly formed, yet invalid.\\nYour authtoken: "
        "{token}\\n\\r\\nERR_NGROK_107\\r\\n"
    ),
    "limit": (
        "authentication failed: Your account is limited to 1 simultaneous ngrok agent "
        "sessions.\\r\\nERR_NGROK_108\\r\\n"
    ),
    "offline": "dial tcp: lookup connect.ngrok-agent.com: no such host",
}


def note(**seen: Any) -> None:
    """Append a line of JSON to the file "seen", for the test to read."""
    with (FOLDER / "seen").open("a") as file:
        print(json.dumps(seen), file=file)


def log(lvl: str, msg: str, **fields: str) -> None:
    """Print a log line in the agent's format."""
    rest = " ".join(f'{name}="{value}"' for name, value in fields.items())
    print(f't=2026-11-21T10:00:00+0000 lvl={lvl} msg="{msg}" {rest}', flush=True)


class Proxy(http.server.BaseHTTPRequestHandler):
    """The public address. It forwards requests, with their client in X-Forwarded-For.

    All requests of a test come from one machine, so the header X-Test-Client sets their address.
    """

    protocol_version = "HTTP/1.1"
    upstream = ""

    def forward(self) -> None:
        """Forward one request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {
            name: value
            for name, value in self.headers.items()
            if name not in ("X-Test-Client", "Connection")
        }
        before = f"{headers['X-Forwarded-For']}, " if "X-Forwarded-For" in headers else ""
        headers["X-Forwarded-For"] = before + self.headers.get("X-Test-Client", "203.0.113.9")
        headers |= {"X-Forwarded-Proto": "https", "X-Forwarded-Host": self.headers.get("Host", "")}
        connection = http.client.HTTPConnection(self.upstream, timeout=20)
        try:
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            status, kept, data = answer.status, answer.getheaders(), answer.read()
        except OSError:
            status, kept, data = (
                502,
                [("Ngrok-Error-Code", "ERR_NGROK_8012")],
                b"<html>ERR_NGROK_8012</html>",
            )
        finally:
            connection.close()
        self.send_response(status)
        for name, value in kept:
            if name.lower() not in (
                "transfer-encoding",
                "connection",
                "content-length",
                "date",
                "server",
            ):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_OPTIONS = do_HEAD = do_DELETE = forward

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing, because stdout is the log of the agent."""


class Api(http.server.BaseHTTPRequestHandler):
    """The local API of the agent, which opens and lists public addresses."""

    endpoints: dict[str, dict[str, Any]] = {}  # noqa: RUF012
    proxies: list[http.server.ThreadingHTTPServer] = []  # noqa: RUF012
    mode = ""

    def do_GET(self) -> None:
        """Respond with the open public addresses."""
        if self.path == "/api/endpoints" and self.mode != "old":
            return self.reply(200, {"endpoints": list(self.endpoints.values()), "uri": self.path})
        self.reply(404, {"status_code": 404, "msg": "not found"})

    def do_POST(self) -> None:
        """Open a public address."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        note(endpoint=request)
        wrong = {"taken": "ERR_NGROK_334", "domain": "ERR_NGROK_320", "new": "ERR_NGROK_9999"}.get(
            self.mode
        )
        if wrong or set(request) - ENDPOINT_SETTINGS:
            details = {"err": f"failed to start tunnel: …\r\n\r\n{wrong or 'unknown setting'}\r\n"}
            return self.reply(
                502,
                {
                    "error_code": 103,
                    "status_code": 502,
                    "msg": "failed to start tunnel",
                    "details": details,
                },
            )
        url = open_address(request["upstream"]["url"], deaf=self.mode == "deaf")
        self.endpoints[request["name"]] = {
            "name": request["name"],
            "url": url,
            "upstream": request["upstream"],
            "id": "ep_1",
        }
        log("info", "started tunnel", obj="tunnels", url=url)
        self.reply(201, self.endpoints[request["name"]])

    def reply(self, status: int, body: dict[str, Any]) -> None:
        """Send a JSON response."""
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


class Public(http.server.ThreadingHTTPServer):
    """A server whose connections end when it ends, as those of ngrok do with the session."""

    daemon_threads = True
    request_queue_size = 64


def open_address(upstream: str, *, deaf: bool) -> str:
    """Open the public address, on the port in the file "port" if it exists, and return its URL."""
    if deaf:
        return "http://127.0.0.1:1"
    port = FOLDER / "port"
    handler = type("Handler", (Proxy,), {"upstream": upstream.removeprefix("http://")})
    public = Public(("127.0.0.1", int(port.read_text()) if port.exists() else 0), handler)
    Api.proxies.append(public)
    threading.Thread(target=public.serve_forever, args=(0.01,), daemon=True).start()
    return f"http://127.0.0.1:{public.server_address[1]}"


def drop(*_: Any) -> None:
    """Drop the session and close its public addresses, as if the network had failed."""

    def end() -> None:
        while Api.proxies:
            public = Api.proxies.pop()
            public.shutdown()
            public.server_close()

    if Api.mode != "clings":
        Api.endpoints.clear()
    threading.Thread(target=end, daemon=True).start()
    log("eror", "heartbeat timeout, terminating session", obj="tunnels.session")
    log("eror", "session closed, starting reconnect loop", obj="csess", err="session closed")


def main() -> None:
    """Start the agent in the mode that the test selected."""
    mode_file = FOLDER / "mode"
    mode = mode_file.read_text() if mode_file.exists() else ""
    file = Path(ARGUMENTS[ARGUMENTS.index("--config") + 1])
    settings = json.loads(file.read_text())
    modes = [oct(each.stat().st_mode & 0o777) for each in (file, file.parent)]
    note(pid=os.getpid(), argv=ARGUMENTS, environ=dict(os.environ), settings=settings, modes=modes)
    print(
        f"ERROR:  Your authtoken: {settings['agent'].get('authtoken')}", file=sys.stderr, flush=True
    )
    if mode == "dies":
        sys.exit(1)
    assert settings["version"] == "3" and set(settings["agent"]) <= AGENT_SETTINGS
    if mode == "silent":
        signal.pause()
    log("info", "open config file", path=str(file), err="nil")
    host, port = settings["agent"]["web_addr"].split(":")
    Api.mode = mode
    api = http.server.ThreadingHTTPServer((host, int(port)), Api)
    threading.Thread(target=api.serve_forever, args=(0.01,), daemon=True).start()
    print(
        (
            't=2026-11-21T10:00:00+0000 lvl=info msg="starting web service" obj=web '
            f"addr={host}:{port} allow_hosts=[]"
        ),
        flush=True,
    )
    if mode in REFUSALS:
        while True:  # as the real agent does
            log(
                "eror",
                "failed to reconnect session",
                obj="tunnels.session",
                err=REFUSALS[mode].format(token=settings["agent"]["authtoken"]),
            )
            threading.Event().wait(0.1)
    signal.signal(signal.SIGUSR1, drop)
    log("info", "client session established", obj="tunnels.session")
    log("info", "tunnel session started", obj="tunnels.session")
    # Wait in short steps, because a signal that another thread receives does not interrupt a wait.
    while True:
        threading.Event().wait(0.02)


if __name__ == "__main__":
    main()
