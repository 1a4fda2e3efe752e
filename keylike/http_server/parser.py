"""Parse one HTTP request: unambiguous framing, bounded chunk overhead and a bounded body."""

from __future__ import annotations

import re
from typing import Any

from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest

_CONTENT_LENGTH = re.compile(rb"(?im)^Content-Length[ \t]*:")
_TRANSFER_ENCODING = re.compile(rb"(?im)^Transfer-Encoding[ \t]*:")
# Chunk sizes, chunk extensions and trailers. 15 MB in chunks of 1 kB carry 100 kB of them.
_MAX_CHUNK_OVERHEAD_BYTES = 200_000
_MAX_CHUNK_BYTES = 1 << 30
# A request must be complete this long after the server first saw it incomplete.
_READ_DEADLINE_S = 60.0
# When connections are scarce, the headers or the next step of a body must arrive within this time.
_STALLED_S = 5.0
_STEP_BYTES = 32_768


class RequestParser(HTTPRequestParser):  # type: ignore[misc]
    """One request with a single length, bounded chunk overhead and a `RequestBody`.

    waitress gives a parser nothing but its adjustments. `Server` therefore adds `new_body` to them,
    which creates the body for a path.
    """

    def __init__(self, adjustments: Adjustments) -> None:
        """Create a parser for the next request of a connection."""
        super().__init__(adjustments)
        self.error: Any = None
        self._first_seen_s: float | None = None
        self._last_progress_s = 0.0
        self._bytes_at_progress = 0

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the request line and headers, and create the body.

        Raises:
            ParsingError: The request has both Content-Length and Transfer-Encoding, so that a proxy
                may see another end of the request than this server (RFC 9112, section 6.3).
        """
        if _CONTENT_LENGTH.search(header_plus) and _TRANSFER_ENCODING.search(header_plus):
            raise ParsingError("both lengths")
        super().parse_header(header_plus)
        if self.body_rcv is not None:
            self.body_rcv.buf = self.adj.new_body(self.path)

    def received(self, data: bytes) -> int:
        """Consume the bytes of `data` that belong to this request, and return their number."""
        count: int = super().received(data)
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

    def is_too_slow(self, now: float, scarce: bool) -> bool:
        """Return True if this incomplete request has missed a deadline.

        Call this about once per second, since it also records progress.

        Args:
            now: Seconds by the server's clock.
            scarce: True if other clients wait for a connection.
        """
        if self._first_seen_s is None:
            self._first_seen_s = now
            self._last_progress_s = now
        if self.body_bytes_received - self._bytes_at_progress >= _STEP_BYTES:
            self._bytes_at_progress = self.body_bytes_received
            self._last_progress_s = now
        return now - self._first_seen_s > _READ_DEADLINE_S or (
            scarce and now - self._last_progress_s > _STALLED_S
        )
