"""Parse one HTTP request: refuse ambiguous lengths, and limit its chunks, its body and its time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest

_CONTENT_LENGTH = re.compile(rb"(?im)^Content-Length[ \t]*:")
_TRANSFER_ENCODING = re.compile(rb"(?im)^Transfer-Encoding[ \t]*:")
# Largest number of bytes of a chunked body that are not content: chunk sizes, chunk extensions and
# trailers. 15 MB in chunks of 1 kB have 100 kB of them.
_MAX_CHUNK_OVERHEAD_BYTES = 200_000
# Largest size of one chunk in bytes.
_MAX_CHUNK_BYTES = 1 << 30
# Seconds after which the headers must be complete, counted from when the server first saw the
# request. From then on, a body must have arrived at the minimum rate on average, in bytes per
# second. Even a bad mobile connection is faster.
_READ_DEADLINE_S = 60.0
_MIN_BYTES_PER_S = 4_096
# Longest time between two pieces of a body, in seconds.
_MAX_GAP_S = 30.0
# While other clients wait for a connection, and during shutdown, the headers or the next
# _STEP_BYTES of a body must arrive within this number of seconds.
_STALLED_S = 5.0
_STEP_BYTES = 32_768
# Size in bytes. A request with a larger body, or a body of unknown length, is refused before its
# body is read if its headers already show that it will be refused. For smaller bodies, the
# application does this.
_LARGE_BODY_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal that the server sends before the request is complete; `code` is its HTTP status."""

    code: int


class RequestParser(HTTPRequestParser):  # type: ignore[misc]
    """A parser of one request, whose body becomes a `RequestBody`.

    waitress passes only its adjustments (its settings) to a parser. `Server` therefore adds three
    functions to them: `new_body` creates the body of a request for a path. `is_refused` returns
    True if a path is refused with 503 for lack of connections. `early_status` returns the status of
    a request whose headers already show that it will be refused.
    """

    def __init__(self, adjustments: Adjustments, client_address: str = "") -> None:
        """Create a parser for the next request of a connection."""
        super().__init__(adjustments)
        self._client_address = client_address
        self.error: Any = None
        self.path = ""
        self._first_seen_s: float | None = None
        self._last_progress_s = 0.0
        self._bytes_at_progress = 0
        self._last_read_s = 0.0
        self._bytes_at_read = 0

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the request line and headers, and create the body.

        Raises:
            ParsingError: The request has both Content-Length and Transfer-Encoding, so a proxy may
                disagree with this server about where the request ends (RFC 9112, section 6.3).
        """
        if _CONTENT_LENGTH.search(header_plus) and _TRANSFER_ENCODING.search(header_plus):
            raise ParsingError("both lengths")
        super().parse_header(header_plus)
        if self.path.startswith("/"):
            # waitress passes "//predict" to the application as "/predict".
            self.path = "/" + self.path.lstrip("/")
        if self.adj.is_refused(self.path):
            self.error = Refusal(HTTPStatus.SERVICE_UNAVAILABLE)
        elif self.chunked or self.content_length > _LARGE_BODY_BYTES or self.expect_continue:
            status = self.adj.early_status(self._environment())
            if status is not None:
                self.error = Refusal(status)
        if self.body_rcv is not None:
            self.body_rcv.buf = self.adj.new_body(self.path)

    def _environment(self) -> dict[str, Any]:
        """Return the part of the WSGI environment that is known without a body."""
        headers = {f"HTTP_{name}": value for name, value in self.headers.items()}
        return headers | {
            "REQUEST_METHOD": self.command,
            "PATH_INFO": self.path,
            "QUERY_STRING": "",
            "REMOTE_ADDR": self._client_address,
            "SERVER_NAME": "",
            "SERVER_PORT": "",
            "wsgi.url_scheme": "http",
        }

    def received(self, data: bytes) -> int:
        """Consume the bytes of `data` that belong to this request, and return their number."""
        count: int = super().received(data)
        if isinstance(self.error, Refusal):
            self.completed = True
            # Otherwise waitress would ask the client to send the body.
            self.expect_continue = False
        if self.chunked and self.body_rcv is not None and not self.error:
            overhead = self.body_bytes_received - len(self.body_rcv)
            if (
                overhead > _MAX_CHUNK_OVERHEAD_BYTES
                or self.body_rcv.chunk_remainder > _MAX_CHUNK_BYTES
            ):
                self.error = BadRequest("chunks")
                self.completed = True
        if self.completed and self.body_rcv is not None:
            self.body_rcv.getbuf().mark_complete()
        return count

    def is_too_slow(self, now: float, hurried: bool) -> bool:
        """Return True if this incomplete request has missed a deadline.

        Call this about once per second, since it also records progress.

        Args:
            now: Seconds by the server's clock.
            hurried: True if other clients wait for a connection, or if the server shuts down.
        """
        if self._first_seen_s is None:
            self._first_seen_s = now
            self._last_progress_s = now
            self._last_read_s = now
        if self.body_bytes_received - self._bytes_at_progress >= _STEP_BYTES:
            self._bytes_at_progress = self.body_bytes_received
            self._last_progress_s = now
        if self.body_bytes_received > self._bytes_at_read:
            self._bytes_at_read = self.body_bytes_received
            self._last_read_s = now
        if hurried and now - self._last_progress_s > _STALLED_S:
            return True
        late_s = now - self._first_seen_s - _READ_DEADLINE_S
        if self.body_rcv is None:
            return late_s > 0
        is_stalled = now - self._last_read_s > _MAX_GAP_S
        return is_stalled or self.body_bytes_received < late_s * _MIN_BYTES_PER_S
