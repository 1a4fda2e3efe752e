"""Connections to one server, which are kept open for further requests."""

from __future__ import annotations

import http.client
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from keylike_client.errors import Unreachable

# Largest accepted response. The largest response for one photo has a tenth of this size.
_MAX_RESPONSE_BYTES = 4_000_000
_CHUNK_BYTES = 1 << 16  # bytes that are read at once


class NotConnected(Unreachable):
    """The connection failed before anything was sent, so the request may be retried."""


@dataclass(frozen=True, slots=True)
class Request:
    """HTTP request. Each call of `body` returns all pieces of the body from the beginning."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Callable[[], Iterable[bytes]] | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """HTTP response. Header names are case-insensitive."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Connections:
    """Pool of connections to one server.

    Certificates are checked against the system's certificate authorities or those in `ca_file`.
    This cannot be turned off.

    Args:
        address: http:// or https:// address of the server, with an optional path prefix.
        timeout_s: Longest wait for bytes, and longest duration of a response after its first bytes,
            in seconds.
        ca_file: File with the certificates of a private certificate authority.
        clock: Function that returns the seconds of a monotonic clock.

    Raises:
        ValueError: The address is invalid.
    """

    def __init__(
        self, address: str, timeout_s: float, ca_file: Path | str | None, clock: Callable[[], float]
    ) -> None:
        parts = urlsplit(address)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.query
            or parts.fragment
        ):
            raise ValueError(
                "the address must look like http://127.0.0.1:5000 or https://keys.example.org"
            )
        if parts.username is not None or parts.password is not None:
            raise ValueError(
                "the address must not contain a name or password; pass the token as token="
            )
        self._host = parts.hostname
        self._port = parts.port
        self._base = parts.path.rstrip("/")
        self._timeout_s = timeout_s
        self._clock = clock
        self._tls = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._closed = False

    def exchange(self, request: Request) -> Response:
        """Send a request and return the response.

        Raises:
            NotConnected: The connection failed before anything was sent.
            Unreachable: The connection failed later, so the server may have received the request.
        """
        idle = self._take()
        if idle is not None:
            try:
                return self._exchange(idle, request)
            except _ClosedByServer:
                # Servers close idle connections. The server sent no response, so it is safe to send
                # the request again on a new connection.
                pass
        connection = self._connect()
        try:
            return self._exchange(connection, request)
        except _ClosedByServer as error:
            raise Unreachable("The connection was closed before a response arrived.") from error

    def close(self) -> None:
        """Close all idle connections. Connections in use are closed after their request."""
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for connection in idle:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        else:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_s, context=self._tls
            )
        # The standard library's debug output would print the token.
        connection.set_debuglevel(0)
        try:
            connection.connect()
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", error.reason)
            raise Unreachable(f"The connection to the server is not trusted: {reason}.") from error
        except OSError as error:
            raise NotConnected(
                f"Cannot connect to the server: {error.strerror or 'no response'}."
            ) from error
        return connection

    def _exchange(self, connection: http.client.HTTPConnection, request: Request) -> Response:
        try:
            return self._send_and_read(connection, request)
        except TimeoutError as error:
            connection.close()
            raise Unreachable(f"No response within {self._timeout_s:g} seconds.") from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Unreachable(
                "The connection was lost before the response was complete."
            ) from error
        except BaseException:
            connection.close()
            raise

    def _send_and_read(self, connection: http.client.HTTPConnection, request: Request) -> Response:
        try:
            pieces = request.body() if request.body else None
            connection.request(
                request.method,
                self._base + request.path,
                body=pieces,
                headers=dict(request.headers),
            )
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses a large photo may close the connection during the upload. Its
            # response may still arrive.
            pass
        sock = connection.sock
        try:
            response = connection.getresponse()
        except ConnectionError as error:
            raise _ClosedByServer from error
        body = self._read(response, sock)
        if response.will_close:
            connection.close()
        else:
            sock.settimeout(self._timeout_s)
            self._keep(connection)
        return Response(response.status, response.headers, body)

    def _read(self, response: http.client.HTTPResponse, sock: socket.socket) -> bytes:
        """Return the body of a response.

        Raises:
            TimeoutError: The body did not arrive within the timeout, or it is too large.
        """
        body, deadline = bytearray(), self._clock() + self._timeout_s
        while chunk := response.read1(_CHUNK_BYTES):
            body += chunk
            remaining = deadline - self._clock()
            if len(body) > _MAX_RESPONSE_BYTES or remaining <= 0:
                raise TimeoutError
            sock.settimeout(remaining)
        if response.length:
            raise http.client.IncompleteRead(bytes(body), response.length)
        response.close()  # read1 does not notice the end of a body of known length
        return bytes(body)

    def _take(self) -> http.client.HTTPConnection | None:
        """Return an idle connection that is still open, or None."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None or not _is_readable(connection.sock):
                return connection
            connection.close()

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()


def _is_readable(sock: socket.socket) -> bool:
    """Return True if the socket can be read. For an idle one, this means that it was closed."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))


class _ClosedByServer(Exception):
    """The server closed the connection without sending a response."""
