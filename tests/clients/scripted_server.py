"""Scripted server over HTTP or HTTPS that returns given responses and records requests.

It can respond in ways that a Keylike server never does.
"""

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
    "error": "Try again later.",
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
class RecordedRequest:
    """Request that a scripted server received, with header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class ScriptedResponse:
    """Response of a scripted server: a JSON body or bytes.

    Attributes:
        status: HTTP status.
        body: Value to encode as JSON, or bytes.
        headers: Additional headers.
        length: Content-Length to claim, if it should be wrong.
        disconnect: Close the connection without a response.
        unread: Respond without reading the request body.
        before: Function to call before the response.
    """

    status: int = 200
    body: Any = field(default_factory=lambda: HEALTH)
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    disconnect: bool = False
    unread: bool = False
    before: Callable[[], object] = lambda: None


class ScriptedServer:
    """Server that returns its responses in order and repeats the last one.

    It listens on one port from `start` until `stop`, and can be started again.
    """

    def __init__(
        self, *responses: ScriptedResponse, certificate: tuple[Path, Path] | None = None
    ) -> None:
        self.responses = list(responses)
        self.requests: list[RecordedRequest] = []
        self._certificate = certificate
        self._port = 0
        self.start()

    @property
    def address(self) -> str:
        """Return the address of the server, with its scheme."""
        return f"{'https' if self._certificate else 'http'}://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start to listen, on the same port as before if the server was stopped."""
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                """Discard the message."""

            def do_GET(self) -> None:
                scripted._respond(self)

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
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(20)

    def _respond(self, handler: BaseHTTPRequestHandler) -> None:
        response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        body = (
            b""
            if response.unread
            else handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        )
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.requests.append(RecordedRequest(handler.command, handler.path, headers, body))
        response.before()
        if response.disconnect:
            handler.close_connection = True
            return
        data = (
            response.body
            if isinstance(response.body, bytes)
            else json.dumps(response.body).encode()
        )
        handler.send_response(response.status)
        for name, value in {
            "Content-Length": str(response.length or len(data)),
            **response.headers,
        }.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)
        if response.length is not None or response.unread:
            handler.close_connection = True
