"""Connections to one server, kept for the next request; each carries one request at a time."""

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

# Ten times the longest answer about one photo.
_LONGEST_ANSWER = 4_000_000
_PIECE = 1 << 16


class NotConnected(Unreachable):
    """Nothing was sent: it may be tried again."""


@dataclass(frozen=True, slots=True)
class Request:
    """`body` gives the pieces of the body anew each time it is called."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Callable[[], Iterable[bytes]] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; names of headers are looked up whatever their case."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Connections:
    """`address` is that of the server, http:// or https://, with the path that a proxy may have put before it.

    Certificates are checked, against the system's authorities or those of `ca_file`; there is no way to turn that off. `timeout_s` is the
    longest silence, and the longest that an answer may take once its first bytes are there; `clock` counts seconds. Raises ValueError for
    any other address.
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
                "the address is not like http://127.0.0.1:5000 or https://keys.example.org"
            )
        if parts.username is not None or parts.password is not None:
            raise ValueError(
                "the address holds a name or a password; a token is handed over as token="
            )
        self._host, self._port = parts.hostname, parts.port
        self._base = parts.path.rstrip("/")
        self._timeout_s, self._clock = timeout_s, clock
        self._tls = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
        self._kept: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._closed = False

    def exchange(self, request: Request) -> Answer:
        """Sends a request and reads the answer. Raises NotConnected where nothing was sent, Unreachable where that is not sure."""
        kept = self._take()
        if kept is not None:
            try:
                return self._talk(kept, request)
            except _ClosedMeanwhile:
                pass  # by the server, which does so with connections that rest; it has not begun an answer
        connection = self._connect()
        try:
            return self._talk(connection, request)
        except _ClosedMeanwhile as error:
            raise Unreachable("The connection was closed before an answer came.") from error

    def close(self) -> None:
        """Closes those that rest, and from now on each that becomes free."""
        with self._lock:
            kept, self._kept, self._closed = self._kept, [], True
        for connection in kept:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        else:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_s, context=self._tls
            )
        # Whoever turned the standard library's own tracing on would otherwise see the token printed.
        connection.set_debuglevel(0)
        try:
            connection.connect()
        except ssl.SSLError as error:
            raise Unreachable(
                f"No trusted connection to the server: {getattr(error, 'verify_message', error.reason)}."
            ) from error
        except OSError as error:
            raise NotConnected(
                f"No connection to the server: {error.strerror or 'it does not answer'}."
            ) from error
        return connection

    def _talk(self, connection: http.client.HTTPConnection, request: Request) -> Answer:
        try:
            return self._send_and_read(connection, request)
        except TimeoutError as error:
            connection.close()
            raise Unreachable(f"No answer came within {self._timeout_s:g} seconds.") from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Unreachable(
                "The connection was cut before the whole answer was there."
            ) from error
        except BaseException:
            connection.close()
            raise

    def _send_and_read(self, connection: http.client.HTTPConnection, request: Request) -> Answer:
        try:
            pieces = request.body() if request.body else None
            connection.request(
                request.method,
                self._base + request.path,
                body=pieces,
                headers=dict(request.headers),
            )
        except (BrokenPipeError, ConnectionResetError):
            pass  # whoever refuses a large photo may hang up while it is still sent: the answer is there all the same
        sock = connection.sock
        try:
            response = connection.getresponse()
        except ConnectionError as error:
            raise _ClosedMeanwhile from error
        body = self._read(response, sock)
        if response.will_close:
            connection.close()
        else:
            sock.settimeout(self._timeout_s)
            self._keep(connection)
        return Answer(response.status, response.headers, body)

    def _read(self, response: http.client.HTTPResponse, sock: socket.socket) -> bytes:
        """The body, which may not trickle in for ever."""
        body, ends = bytearray(), self._clock() + self._timeout_s
        while piece := response.read1(_PIECE):
            body += piece
            left = ends - self._clock()
            if len(body) > _LONGEST_ANSWER or left <= 0:
                raise TimeoutError
            sock.settimeout(left)
        if response.length:
            raise http.client.IncompleteRead(bytes(body), response.length)
        response.close()  # of a body of known length read1 does not notice the end
        return bytes(body)

    def _take(self) -> http.client.HTTPConnection | None:
        """One that rests and is still open."""
        while True:
            with self._lock:
                connection = self._kept.pop() if self._kept else None
            if connection is None or not _has_something_to_say(connection.sock):
                return connection
            connection.close()

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if not self._closed:
                self._kept.append(connection)
                return
        connection.close()


def _has_something_to_say(sock: socket.socket) -> bool:
    """Of a connection that rests this can only be that it was closed."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))


class _ClosedMeanwhile(Exception):
    """The server closed the connection without a word."""
