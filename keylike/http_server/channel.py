"""One client connection, with limits for parsing and pipelining, and with timeouts."""

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

# Number of bytes that waitress parses at once. It copies its whole input each time it removes a
# chunk, a blank line or a request from the front. With one megabyte of tiny chunks, this kept the
# event loop busy for many seconds. With small slices, the cost is proportional to the input.
_SLICE_BYTES = 16_384
# Largest number of pipelined requests that wait behind the one in progress.
_MAX_PIPELINED = 20
# Seconds without activity after which a connection is closed.
_IDLE_S = 120.0
# Seconds after which a restricted connection without a request is closed.
_RESTRICTED_IDLE_S = 5.0
# Seconds in which a client must receive its responses; the second value applies while other clients
# wait for a connection.
_FETCH_S = 60.0
_FETCH_SCARCE_S = 10.0
# Seconds in which the rest of a refused body is read and discarded. If the server closed the
# connection at once, the client would see a reset instead of the response.
_LINGER_S = 10.0
# An interim response. Clients ignore any number of these before the final response (RFC 9110,
# section 15.2).
_INTERIM_RESPONSE = b"HTTP/1.1 100 Continue\r\n\r\n"

# A counter of the uses of all connections, to find the least recently used one.
_uses = itertools.count()


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection on which a request starts only when all earlier responses have been sent.

    Otherwise, a client that pipelines requests and does not receive the responses would make them
    accumulate, each with an open file, until the worker thread that writes the next one blocks.

    Attributes:
        restricted: True for a connection above a limit. It may request reserved paths only, unless
            the number of connections is within the limits again when its request arrives.
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
        """Create the channel. waitress passes the arguments up to `map`."""
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
        """Record that the response to `request` begins.

        Returns:
            True if the connection must be closed after this response.
        """
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
        """Return True if there is something to send, or if the connection can be closed."""
        return bool(super().writable()) or (self._input_ended and not self.requests)

    def handle_read(self) -> None:
        """Read and parse. If the input has ended, remember that while responses are still due."""
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

        Bytes of a body of known length are passed on in one piece, because waitress does not parse
        them.
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

        A client that has only ended its output still reads. A client that has closed the connection
        resets it when the interim response of `_probe` arrives.
        """
        if self._input_ended and self.connected:
            try:
                error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            except (OSError, AttributeError):  # the event loop has closed it
                return True
            # The socket forgets the error when it is read.
            self._disconnected = self._disconnected or error != 0
        return self._disconnected or not self.connected

    def is_idle(self) -> bool:
        """Return True if no request is in progress and no response waits to be sent."""
        return self.request is None and not self.requests and not self.total_outbufs_len

    @property
    def is_lingering(self) -> bool:
        """Return True if the last response has been sent and further input is only discarded."""
        return self._output_ended

    def is_evictable(self) -> bool:
        """Return True if the connection can be closed without losing a request that has arrived."""
        if self._output_ended:
            return True
        if not self.is_idle():
            return False
        if self._peek():
            self.last_used = next(_uses)
            return False
        return True

    def idle_s(self, now: float) -> float:
        """Return the seconds since the last activity that this method has seen.

        waitress records activity as a time of day, which may jump. So this method only checks
        whether that value has changed, and uses `now` as the time of the activity.
        """
        if self.last_activity != self._seen_activity:
            self._seen_activity = self.last_activity
            self._idle_since = now
        return now - self._idle_since

    def has_timed_out(self, now: float, scarce: bool) -> bool:
        """Return True if the client has been idle, or has not received responses, for too long.

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
        """Return one byte of unread input, b"" at its end, or None if there is no input yet."""
        try:
            data: bytes = self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        return data

    def _probe(self) -> None:
        """Send an interim response. A client that has closed the connection then resets it."""
        with self.outbuf_lock:
            request = next(iter(self.requests), None)
            begun = request is self._answered or self.total_outbufs_len
            if request is not None and request.version == "1.1" and not begun:
                try:
                    self.socket.send(_INTERIM_RESPONSE)
                except OSError:
                    self._disconnected = True

    def _end_output(self) -> None:
        """Close the sending direction of the connection. Its input is discarded from now on."""
        self._output_ended = True
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.will_close = True
