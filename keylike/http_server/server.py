"""The server process: waitress with bounded bodies, JSON even for what it refuses itself, and a stop that finishes what is in flight.

It reaches into waitress's internals (channel, parser, task), hence the pin below 4.
"""

from __future__ import annotations

import contextlib
import json
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.task import ErrorTask, WSGITask

from keylike.http_server.body_budget import BodyBudget, RequestBody
from keylike.http_server.connections import Listener, most_connections
from keylike.http_server.hard_exit import end_at_once
from keylike.http_server.http_framing import FramedChannel, FramedParser

# Bodies above the limit are read and thrown away up to here, so that the caller can read the 413 instead of a reset connection.
SWALLOW_BYTES = 200_000_000
_READ_DEADLINE_S = 60.0
# Where others wait for a place, the next so many bytes come within this time, and headers whole.
_STEP_BYTES, _STALLED_S = 32_768, 5.0
_IDLE_S = 3.0
# Where there is always something to do, what was freed lies between what is still used, and more of it every minute (docs/LOG.md).
_BUSY_S = 5.0
# What a request that is half sent when the stop begins has left.
_HURRY_S = 5.0

# In a request's WSGI environment: after how many seconds to come back, where its body was not kept because there is no room for it.
TURNED_AWAY = "keylike.turned_away"

SocketFailure = Callable[[int], tuple[int, dict[str, object]]]


@dataclass(frozen=True, slots=True)
class Binding:
    """Where to listen, how many requests to work on at a time, and the largest body kept, in bytes; `larger` gives that of paths
    that take more. All bodies together may hold `bodies_limit` bytes. At the stop, what is in flight has `drain_s` seconds."""

    host: str
    port: int
    threads: int
    body_limit: int
    bodies_limit: int
    larger: Mapping[str, int] = field(default_factory=dict)
    drain_s: float = 30.0


class Server:
    """Listens from the moment it is made (raises OSError if it cannot) and serves in `run`, until `stop`.

    `failure` turns a status that waitress found into the status and body to send; `draining` is set when the stop begins;
    `clock` counts seconds for the deadlines. `full` says, before a body for a path is read, after how many seconds whoever sends it may
    come back, or None where there is room; `tidy` is called when nothing was asked for a few seconds after something was, and every five
    seconds of work without such a pause.
    """

    def __init__(
        self,
        application: Any,
        binding: Binding,
        *,
        failure: SocketFailure,
        draining: threading.Event,
        clock: Callable[[], float] = time.monotonic,
        full: Callable[[str], int | None] = lambda path: None,
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        self._draining = draining
        self._clock, self._tidy = clock, tidy
        # When something was asked for last, and since when no tidying was done; None where there is nothing to tidy.
        self._worked: float | None = None
        self._untidy = 0.0
        self._looked = clock()
        self._channels: dict[int, Any] = {}
        adjustments = Adjustments(
            threads=binding.threads,
            ident="keylike",
            # A large photo in a few turns of the loop; what is not used of it goes back at once.
            recv_bytes=1 << 20,
            max_request_body_size=SWALLOW_BYTES,
            max_request_header_size=32_768,
            connection_limit=most_connections(),
            # While a request is worked on, its connection is still listened to: only so is it seen that the caller hung up. What comes
            # on it meanwhile is one more request, whose turn is after the first.
            channel_request_lookahead=1,
            # Whom a proxy speaks for is the application's to judge; waitress would take away the sign that there is one.
            clear_untrusted_proxy_headers=False,
            # A phone that hangs up is no trouble of the server's.
            log_socket_errors=False,
            asyncore_use_poll=True,
        )
        self._room = BodyBudget(binding.bodies_limit, clock)
        self._full, self._binding = full, binding
        adjustments.body = self._body
        bound = _bind(binding.host, binding.port)
        at = (bound.family, bound.type, bound.proto, bound.getsockname())
        self._listener = _Listener(
            application,
            self._channels,
            _sock=bound,
            adj=adjustments,
            sockinfo=at,
            bind_socket=False,
        )
        self._listener.failure, self._listener.draining, self._listener.clock = (
            failure,
            draining,
            clock,
        )

    @property
    def port(self) -> int:
        """The port that is really listened on."""
        return int(self._listener.effective_port)

    def run(self) -> None:
        """Serves until `stop`, then finishes what is in flight, for the binding's `drain_s` at most."""
        while not self._draining.is_set():
            self._turn(1.0)
            if self._clock() - self._looked >= 1.0:
                self._looked = self._clock()
                self._hang_up_on_the_slow()
                self._listener.hang_up_on_the_quiet()
                self._rest()
        self._take_in_what_has_arrived()
        began = self._clock()
        while self._busy() and self._clock() < began + self._binding.drain_s:
            if self._clock() >= began + _HURRY_S:
                self._hang_up_on(lambda request: True)
            self._turn(0.05)
        self._listener.task_dispatcher.shutdown(timeout=1)
        wasyncore.close_all(self._channels)

    def _take_in_what_has_arrived(self) -> None:
        """Closes the door behind those who have connected, and reads what they have sent: nothing that the kernel holds is lost."""
        door = self._listener.socket
        for _ in range(self._listener.adj.connection_limit):
            if select.select([door], [], [], 0)[0]:
                self._listener.handle_accept()
        self._listener.accepting = False
        self._listener.del_channel()
        door.close()
        self._turn(0)

    def stop(self) -> None:
        """Begins the stop; safe in a signal handler and from any thread."""
        if not self._draining.is_set():
            self._draining.set()
            # The loop may have seen it already, and closed what wakes it.
            with contextlib.suppress(OSError):
                self._listener.pull_trigger()

    def stop_on_signals(self) -> None:
        """SIGTERM and Ctrl-C stop gently, a second one at once."""

        def on_signal(number: int, _frame: object) -> None:
            if self._draining.is_set():
                end_at_once(128 + number)
            self.stop()

        signal.signal(signal.SIGTERM, on_signal)
        signal.signal(signal.SIGINT, on_signal)

    def _turn(self, timeout_s: float) -> None:
        wasyncore.loop(timeout=timeout_s, use_poll=True, map=self._channels, count=1)

    def _busy(self) -> bool:
        channels = tuple(self._listener.active_channels.values())
        return any(
            channel.request or channel.requests or channel.total_outbufs_len for channel in channels
        )

    def _body(self, path: str) -> RequestBody:
        """For a request to this path, whose headers are there."""
        now = self._clock()
        self._untidy = now if self._worked is None else self._untidy
        self._worked = now
        return RequestBody(
            self._binding.larger.get(path, self._binding.body_limit), self._room, self._full(path)
        )

    def _rest(self) -> None:
        """Calls `tidy`, once after each time of work and now and then in a long one."""
        if self._worked is None:
            return
        over = self._looked - self._worked >= _IDLE_S and not self._busy()
        if over or self._looked - self._untidy >= _BUSY_S:
            self._worked, self._untidy = None if over else self._worked, self._looked
            self._tidy()

    def _hang_up_on_the_slow(self) -> None:
        """Closes connections whose request trickles in for longer than an honest slow phone needs, and where others wait for their
        places those that do not get on."""
        crowded = self._listener.in_connection_overflow

        def slow(request: _Parser) -> bool:
            if request.started is None:
                request.started = request.moved = self._looked
            if request.body_bytes_received - request.noted >= _STEP_BYTES:
                request.noted, request.moved = request.body_bytes_received, self._looked
            return self._looked - request.started > _READ_DEADLINE_S or (
                crowded and self._looked - request.moved > _STALLED_S
            )

        self._hang_up_on(slow)

    def _hang_up_on(self, which: Callable[[_Parser], bool]) -> None:
        """Closes connections on whose half-read request nothing else depends."""
        for channel in tuple(self._listener.active_channels.values()):
            # What comes behind a request that is still worked on is not read to its end before that is answered.
            if channel.request is not None and not channel.requests and which(channel.request):
                channel.will_close = True


def _bind(host: str, port: int) -> socket.socket:
    """A socket at the first address of `host`, IPv4 before IPv6. Raises OSError where it is taken or not of this machine."""
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = min(
        addresses, key=lambda found: found[0] != socket.AF_INET
    )
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


class _Parser(FramedParser):
    """A request that holds a bounded body; `started` is when it was first seen half read, `moved` when it had last got on, with `noted`
    bytes of its body."""

    started: float | None = None
    moved = 0.0
    noted = 0

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.body_rcv is not None:
            self.body_rcv.buf = self.adj.body(self.path)

    def received(self, data: bytes) -> int:
        count: int = super().received(data)
        if self.completed and self.body_rcv is not None:
            self.body_rcv.getbuf().arrived()
        return count


class _Task(WSGITask):  # type: ignore[misc]
    """A request for the application, whose body is read already, or was not kept."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ["wsgi.input_terminated"] = True
        body = environ["wsgi.input"]
        if isinstance(body, RequestBody) and body.turned_away is not None:
            environ[TURNED_AWAY] = body.turned_away
        return environ

    def build_response_header(self) -> bytes:
        """During the stop, whoever is answered is told to ask elsewhere."""
        if self.channel.server.draining.is_set():
            self.set_close_on_finish()
        header: bytes = super().build_response_header()
        return header


class _Refusal(ErrorTask):  # type: ignore[misc]
    """What waitress refuses by itself (broken HTTP, endless headers or bodies), as JSON like every other failure."""

    def execute(self) -> None:
        status, body = self.channel.server.failure(self.request.error.code)
        data = json.dumps(body).encode()
        self.status = f"{status} {HTTPStatus(status).phrase}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(data)
        self.write(data)


class _Channel(FramedChannel):
    parser_class = _Parser
    task_class = _Task
    error_task_class = _Refusal

    def del_channel(self, map: Any = None) -> None:
        """The connection is gone: what it had sent of requests goes too, but for the one that is worked on."""
        super().del_channel(map)
        for request in (self.request, *self.requests[0 if self.waits else 1 :]):
            if request is not None:
                request.close()


class _Listener(Listener):
    channel_class = _Channel
    failure: SocketFailure
    draining: threading.Event
