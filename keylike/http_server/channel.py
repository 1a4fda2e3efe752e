"""One client connection: bounded work per read, bounded pipelining, timeouts and half-closing."""

from __future__ import annotations

import copy
import itertools
import socket
from functools import partial
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel

from keylike.http_server.parser import Refusal, RequestParser
from keylike.http_server.tasks import JSONErrorTask, RequestTask

# waitress copies its whole input for every chunk, blank line and request that it removes from the
# front. One megabyte of tiny chunks kept the event loop, which all connections share, busy for many
# seconds. Small slices make the cost proportional to the input.
_SLICE_BYTES = 16_384
# Pipelined requests behind the one in progress.
_MAX_PIPELINED = 20
# Seconds without activity.
_IDLE_S = 120.0
# Seconds that a restricted connection may stay without a request.
_RESTRICTED_IDLE_S = 5.0
# Seconds to fetch responses, and the same when other clients wait for a connection.
_FETCH_S = 60.0
_FETCH_SCARCE_S = 10.0
# Seconds in which the rest of a refused body is read and discarded. If the server closed the
# connection at once, the client would see a reset instead of the response.
_LINGER_S = 10.0
# Clients skip any number of these before the response (RFC 9110, section 15.2).
_INTERIM_RESPONSE = b"HTTP/1.1 100 Continue\r\n\r\n"

# Numbers the uses of all connections, for eviction of the least recently used one.
_uses = itertools.count()


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection whose requests wait until the responses before them have been sent.

    Otherwise responses would pile up, each with an open file, when a client pipelines requests and
    fetches nothing. In the end the worker thread that writes the next response would block.

    Attributes:
        restricted: True for a connection above a limit. It may only request reserved paths, unless
            there is room by the time its request arrives.
        last_used: Number that grows with each use of any connection.
        network: Name under which the listener counts this connection.
    """

    parser_class: Any = RequestParser
    task_class = RequestTask
    error_task_class = JSONErrorTask
    request: RequestParser | None

    def __init__(
        self,
        server: Any,
        sock: socket.socket,
        addr: Any,
        adj: Adjustments,
        map: Any = None,
        *,
        network: str = "",
        restricted: bool = False,
    ) -> None:
        """Create the channel with the arguments that waitress passes; the others are attributes."""
        self._waits_for_flush = False
        self._seen_activity: float | None = None
        self._idle_since = 0.0
        self._all_sent_at: float | None = None
        self._input_ended = False
        self._disconnected = False
        self._discards_input = False
        self._output_ended = False
        self._answered: RequestParser | None = None
        self.restricted = restricted
        self.last_used = next(_uses)
        self.network = network
        if restricted:
            adj = copy.copy(adj)
            adj.is_refused = self._is_refused
        super().__init__(server, sock, addr, adj, map)
        self.parser_class = partial(self.parser_class, client_address=str(addr[0]))

    def may_start(self) -> bool:
        """Return True if the next request may start now.

        Otherwise `handle_write` starts it as soon as all responses have been sent.
        """
        with self.outbuf_lock:
            self._waits_for_flush = self.total_outbufs_len > 0
            return not self._waits_for_flush

    def begin_response(self, request: RequestParser) -> bool:
        """Record that the response to `request` begins; return True if it must be the last one."""
        self.last_used = next(_uses)
        with self.outbuf_lock:
            self._answered = request
        ended = self._input_ended and len(self.requests) == 1
        return ended or self.restricted or bool(self.server.closes_after_response())

    def readable(self) -> bool:
        """Return True if the event loop should read from the socket."""
        if self._output_ended:
            return True
        return super().readable() and not self._input_ended

    def writable(self) -> bool:
        """Return True if there is something to send, or if the connection is done."""
        return bool(super().writable()) or (self._input_ended and not self.requests)

    def handle_read(self) -> None:
        """Read and parse; remember the end of the input if responses are still due."""
        self.last_used = next(_uses)
        if self.requests and self._peek() == b"":
            self._input_ended = True
            self._probe()
            return
        super().handle_read()

    def handle_write(self) -> None:
        """Send pending output, then start the request that waited for it."""
        if self._input_ended and not self.requests:
            self.close_when_flushed = True
        elif self.close_when_flushed and self._discards_input and not self.total_outbufs_len:
            self.close_when_flushed = False
            self._end_output()
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
        while at < len(data) and not self._discards_input:
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
            if any(isinstance(each.error, Refusal) for each in self.requests[-1:]):
                self._discards_input = True
            if len(self.requests) > _MAX_PIPELINED:
                self.will_close = True
                return False
        return bool(data)

    def refuse_incomplete(self, status: int) -> None:
        """Answer the incomplete request with an error, and close the connection afterwards."""
        with self.requests_lock:
            request = self.request
            if request is None:
                return
            self.request = None
            request.error = Refusal(status)
            request.completed = True
            self._discards_input = True
            self.requests.append(request)
            if len(self.requests) == 1:
                self.server.add_task(self)

    def check_client_disconnected(self) -> bool:
        """Return True if the client will not read the response. Any thread may call this.

        A client that only ended its output still reads. One that closed the connection resets it
        when the interim response arrives.
        """
        if self._input_ended and self.connected:
            try:
                error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            except (OSError, AttributeError):  # the event loop has closed it
                return True
            # Reading the error resets it.
            self._disconnected = self._disconnected or error != 0
        return self._disconnected or not self.connected

    def is_idle(self) -> bool:
        """Return True if no request is in progress and no response waits to be sent."""
        return self.request is None and not self.requests and not self.total_outbufs_len

    @property
    def is_lingering(self) -> bool:
        """Return True if the response was the last one and only input is discarded."""
        return self._output_ended

    def is_evictable(self) -> bool:
        """Return True if closing the connection loses no request that has arrived."""
        if self._output_ended:
            return True
        if not self.is_idle():
            return False
        if self._peek():
            self.last_used = next(_uses)
            return False
        return True

    def idle_s(self, now: float) -> float:
        """Return the seconds since the last activity, and record activity.

        waitress stamps activity with the time of day, which may jump. Only its changes count.
        """
        if self.last_activity != self._seen_activity:
            self._seen_activity = self.last_activity
            self._idle_since = now
        return now - self._idle_since

    def has_timed_out(self, now: float, scarce: bool) -> bool:
        """Return True if the client has been idle, or has not fetched responses, for too long.

        Call this about once per second, since it also records activity.

        Args:
            now: Seconds by the server's clock.
            scarce: True if other clients wait for a connection.
        """
        idle_s = self.idle_s(now)
        all_sent = not self.total_outbufs_len and not self._output_ended
        if all_sent or self._all_sent_at is None:
            self._all_sent_at = now
        since_sent_s = now - self._all_sent_at
        if self._output_ended:
            return since_sent_s > _LINGER_S
        if since_sent_s > (_FETCH_SCARCE_S if scarce else _FETCH_S):
            return True
        if self.restricted and self.is_idle():
            return idle_s > _RESTRICTED_IDLE_S
        return not self.requests and idle_s > _IDLE_S

    def del_channel(self, map: Any = None) -> None:
        """Remove the channel and close its requests, except one that a worker thread answers."""
        super().del_channel(map)
        for request in (self.request, *self.requests[0 if self._waits_for_flush else 1 :]):
            if request is not None:
                request.close()

    def _is_refused(self, path: str) -> bool:
        """Return True if this restricted connection may not request `path`."""
        if self.restricted and self.server.has_room_for(self.network):
            self.restricted = False
        return self.restricted and not self.server.is_reserved(path)

    def _peek(self) -> bytes | None:
        """Return a byte of unread input, nothing at its end, or None if there is no input yet."""
        try:
            data: bytes = self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        return data

    def _probe(self) -> None:
        """Send an interim response, which a client that closed the connection resets."""
        with self.outbuf_lock:
            request = next(iter(self.requests), None)
            begun = request is self._answered or self.total_outbufs_len
            if request is not None and request.version == "1.1" and not begun:
                try:
                    self.socket.send(_INTERIM_RESPONSE)
                except OSError:
                    self._disconnected = True

    def _end_output(self) -> None:
        """Tell the client that no more responses follow, and go on to discard its input."""
        self._output_ended = True
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.will_close = True
