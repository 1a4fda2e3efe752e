"""Where one request ends and the next begins: read so that nobody else can see it otherwise, and at a cost that grows with what is sent.

waitress cuts what it has read off the front of what it holds, for every chunk, blank line and request. A megabyte of such crumbs took its
one loop, on which all connections wait, many seconds; here they come to it in small helpings, and there may be only so many.
"""

from __future__ import annotations

import re
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest

_LENGTH, _CODING = (
    re.compile(rb"(?im)^%b[ \t]*:" % name) for name in (b"Content-Length", b"Transfer-Encoding")
)
_HELPING = 16_384
# Sizes of chunks, their extensions and trailers: 15 MB in chunks of a kilobyte have 100 kB of them.
_MOST_AROUND = 200_000
_LARGEST_CHUNK = 1 << 30
# Behind the one that is worked on.
_MOST_WAITING = 20


class FramedParser(HTTPRequestParser):  # type: ignore[misc]
    """A request whose length is said in one way, and whose chunks hold more than they take."""

    error: Any = None

    def parse_header(self, header_plus: bytes) -> None:
        """Raises ParsingError where proxies on the way may have taken another length than this server (RFC 9112, 6.3)."""
        if _LENGTH.search(header_plus) and _CODING.search(header_plus):
            raise ParsingError("both lengths")
        super().parse_header(header_plus)

    def received(self, data: bytes) -> int:
        """Takes what belongs to this request, and gives how much that was."""
        count: int = super().received(data)
        if self.chunked and self.body_rcv is not None and not self.error:
            around = self.body_bytes_received - len(self.body_rcv)
            if around > _MOST_AROUND or self.body_rcv.chunk_remainder > _LARGEST_CHUNK:
                self.error, self.completed = BadRequest("chunks"), True
        return count


class FramedChannel(HTTPChannel):  # type: ignore[misc]
    """A connection that takes its bytes in helpings, except those of a body of known length, and whose requests wait for the answers
    before them to be sent."""

    waits = False

    def may_begin(self) -> bool:
        """Whether the next request may be worked on; where not, that begins by itself once all is sent."""
        with self.outbuf_lock:
            self.waits = self.total_outbufs_len > 0
            return not self.waits

    def handle_write(self) -> None:
        """Sends what can be sent."""
        super().handle_write()
        with self.outbuf_lock:
            begins = self.waits and self.connected and not self.total_outbufs_len
            self.waits = self.waits and not begins
        if begins:
            self.server.add_task(self)

    def received(self, data: bytes) -> bool:
        """Hangs up on who sends far more requests than are answered."""
        at = 0
        while at < len(data):
            request = self.request
            plain = request is not None and request.body_rcv is not None and not request.chunked
            helping = data[at:] if plain else data[at : at + _HELPING]
            at += len(helping)
            if request is None:
                helping = helping.lstrip(b"\r\n")
            if helping and not super().received(helping):
                return False
            if len(self.requests) > _MOST_WAITING:
                self.will_close = True
                return False
        return bool(data)
