"""One client connection: bounded work per read, bounded pipelining and idle timeouts."""

from __future__ import annotations

import socket
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel

from keylike.http_server.parser import RequestParser
from keylike.http_server.tasks import JSONErrorTask, RequestTask

# waitress copies its whole input for every chunk, blank line and request that it removes from the
# front. One megabyte of tiny chunks kept the event loop, which all connections share, busy for many
# seconds. Small slices make the cost proportional to the input.
_SLICE_BYTES = 16_384
# Pipelined requests behind the one in progress.
_MAX_PIPELINED = 20
# Seconds without activity, and without a request when other clients wait for a connection.
_IDLE_S = 120.0
_IDLE_SCARCE_S = 3.0
# Seconds to fetch responses, and the same when other clients wait for a connection.
_FETCH_S = 60.0
_FETCH_SCARCE_S = 10.0


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection whose requests wait until the responses before them have been sent.

    Otherwise responses would pile up, each with an open file, when a client pipelines requests and
    fetches nothing. In the end the worker thread that writes the next response would block.
    """

    parser_class = RequestParser
    task_class = RequestTask
    error_task_class = JSONErrorTask

    def __init__(
        self, server: Any, sock: socket.socket, addr: Any, adj: Adjustments, map: Any = None
    ) -> None:
        """Create the channel with the arguments that waitress passes."""
        self._waits_for_flush = False
        self._seen_activity: float | None = None
        self._idle_since = 0.0
        self._all_sent_at: float | None = None
        super().__init__(server, sock, addr, adj, map)

    def may_start(self) -> bool:
        """Return True if the next request may start now.

        Otherwise `handle_write` starts it as soon as all responses have been sent.
        """
        with self.outbuf_lock:
            self._waits_for_flush = self.total_outbufs_len > 0
            return not self._waits_for_flush

    def handle_write(self) -> None:
        """Send pending output, then start the request that waited for it."""
        super().handle_write()
        with self.outbuf_lock:
            starts = self._waits_for_flush and self.connected and not self.total_outbufs_len
            self._waits_for_flush = self._waits_for_flush and not starts
        if starts:
            self.server.add_task(self)

    def received(self, data: bytes) -> bool:
        """Parse `data` in slices; close the connection if too many requests are pipelined.

        Bytes of a body of known length are passed on in one piece, because waitress does not
        search them.
        """
        at = 0
        while at < len(data):
            request = self.request
            in_plain_body = (
                request is not None and request.body_rcv is not None and not request.chunked
            )
            piece = data[at:] if in_plain_body else data[at : at + _SLICE_BYTES]
            at += len(piece)
            if request is None:
                piece = piece.lstrip(b"\r\n")
            if piece and not super().received(piece):
                return False
            if len(self.requests) > _MAX_PIPELINED:
                self.will_close = True
                return False
        return bool(data)

    def has_timed_out(self, now: float, scarce: bool) -> bool:
        """Return True if the client has been idle, or has not fetched responses, for too long.

        Call this about once per second, since it also records activity.

        Args:
            now: Seconds by the server's clock.
            scarce: True if other clients wait for a connection.
        """
        # waitress stamps activity with the time of day, which may jump. Only its changes count.
        if self.last_activity != self._seen_activity:
            self._seen_activity = self.last_activity
            self._idle_since = now
        if not self.total_outbufs_len or self._all_sent_at is None:
            self._all_sent_at = now
        if now - self._all_sent_at > (_FETCH_SCARCE_S if scarce else _FETCH_S):
            return True
        unused = self.request is None and not self.total_outbufs_len
        idle_s = _IDLE_SCARCE_S if scarce and unused else _IDLE_S
        return not self.requests and now - self._idle_since > idle_s

    def del_channel(self, map: Any = None) -> None:
        """Remove the channel and close its requests, except one that a worker thread answers."""
        super().del_channel(map)
        for request in (self.request, *self.requests[0 if self._waits_for_flush else 1 :]):
            if request is not None:
                request.close()
