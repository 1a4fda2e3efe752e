"""A server that answers as it is told to, over plain HTTP or TLS, and remembers what it was asked; for what no Keylike server would do."""

from __future__ import annotations

import json
import socketserver
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FAILURE = {
    "success": False,
    "error": "Not now.",
    "code": "overloaded",
    "request_id": "0123abcd",
    "timestamp": 1,
    "api_version": "2.0.0",
}
HEALTH = {
    "status": "healthy",
    "reason": None,
    "model_loaded": True,
    "model": "colour-1.0.0",
    "gpu_available": False,
    "gpu_memory_mb": 0,
    "api_version": "2.0.0",
    "timestamp": 1,
}


@dataclass
class Asked:
    """One request as it came in; names of headers in small letters."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Say:
    """An answer: a JSON body or bytes. `length` claims another length, `hang_up` ends the connection without an answer."""

    status: int = 200
    body: Any = field(default_factory=lambda: HEALTH)
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    hang_up: bool = False
    unread: bool = False
    before: Callable[[], object] = lambda: None


class Scripted:
    """Gives its answers one after another, the last for ever; from `start` until `stop`, at one port."""

    def __init__(self, *answers: Say, certificate: tuple[Path, Path] | None = None) -> None:
        self.answers, self.asked = list(answers), list[Asked]()
        self._certificate = certificate
        self._port = 0
        self.start()

    @property
    def address(self) -> str:
        """With the scheme."""
        return f"{'https' if self._certificate else 'http'}://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listens; after `stop` on the same port again."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

            def do_GET(self) -> None:
                outer._answer(self)

            do_POST = do_GET

        socketserver.TCPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        if self._certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Closes the door; nobody is heard any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(20)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        say = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        body = (
            b"" if say.unread else handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        )
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.asked.append(Asked(handler.command, handler.path, headers, body))
        say.before()
        if say.hang_up:
            handler.close_connection = True
            return
        data = say.body if isinstance(say.body, bytes) else json.dumps(say.body).encode()
        handler.send_response(say.status)
        for name, value in {"Content-Length": str(say.length or len(data)), **say.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)
        if say.length is not None or say.unread:
            handler.close_connection = True
