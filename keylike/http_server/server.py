"""The HTTP server: waitress with limited bodies, JSON errors and graceful shutdown."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments

from keylike.http_server.body_budget import BodyBudget, RequestBody
from keylike.http_server.hard_exit import STOP_SIGNALS, hard_exit
from keylike.http_server.listener import ConnectionLimits, ErrorRenderer, Listener, raise_file_limit
from keylike.http_server.parser import RequestParser

# Number of bytes up to which a body above its limit is read and discarded. If the server closed the
# connection at once, the client would see a reset connection instead of the status 413.
MAX_DISCARDED_BYTES = 200_000_000
# Prefix of `Binding.host` for the path of a unix socket.
_UNIX = "unix:"
# Seconds without requests after which unused memory is returned to the system.
_IDLE_S = 3.0
# Interval in seconds at which memory is returned under continuous load, because it becomes more
# fragmented with every minute (docs/LOG.md).
_RELEASE_INTERVAL_S = 5.0
# Seconds. A shutdown closes connections that have been idle for longer. A client that sends a
# request about every second gets one more response, with `Connection: close`. If the server closed
# all idle connections at once, it would lose requests that are on their way.
_KEEP_IDLE_S = 2.0
# Seconds before the end of a shutdown at which incomplete uploads are refused.
_LAST_ANSWERS_S = 1.0
# Interval in seconds at which the server looks for connection slots for waiting connections.
_WAITING_POLL_S = 0.05
# Largest number of batches of connections that are accepted from the kernel's backlog when the
# shutdown begins.
_LAST_BATCHES = 64


@dataclass(frozen=True, slots=True)
class Binding:
    """The address to listen on and the limits of the server.

    Attributes:
        host: Host name, IP address, or "unix:" followed by the path of a unix socket.
        port: TCP port; 0 chooses a free one.
        threads: Number of requests that are processed at the same time.
        max_body_bytes: Largest body, in bytes.
        max_total_body_bytes: Memory for all bodies together, in bytes.
        max_body_bytes_by_path: Larger values of `max_body_bytes` for some paths.
        drain_s: Longest time that a shutdown waits for requests in progress, in seconds.
        connections: Limits on connections.
    """

    host: str
    port: int
    threads: int
    max_body_bytes: int
    max_total_body_bytes: int
    max_body_bytes_by_path: Mapping[str, int] = field(default_factory=dict)
    drain_s: float = 30.0
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)


class Server:
    """An HTTP server. It listens when it is created, and serves in `run` until `stop` is called."""

    def __init__(
        self,
        application: Any,
        binding: Binding,
        *,
        render_error: ErrorRenderer,
        draining: threading.Event,
        clock: Callable[[], float] = time.monotonic,
        retry_after: Callable[[str], int | None] = lambda path: None,
        early_status: Callable[[dict[str, Any]], int | None] = lambda environ: None,
        release_memory: Callable[[], None] = lambda: None,
    ) -> None:
        """Bind the socket and start to listen.

        Args:
            application: The WSGI application.
            binding: Address and limits.
            render_error: Converts the status of a request that waitress refuses, and its Origin,
                to a status, headers and a JSON body.
            draining: The server sets this event when the shutdown begins.
            clock: Returns seconds, for deadlines.
            retry_after: Called with the path before a body is read. If it returns a number of
                seconds, the body is discarded, and the application refuses the request.
            early_status: Called with the WSGI environment of a request with a large body, before
                the body is read. If it returns a status, the request is refused with it.
            release_memory: Called after a few seconds without requests, and at intervals under
                continuous load.

        Raises:
            OSError: The address is in use or does not belong to this machine.
        """
        raise_file_limit()
        self._draining = draining
        self._clock = clock
        self._retry_after = retry_after
        self._early_status = early_status
        self._release_memory = release_memory
        self._binding = binding
        self.body_budget = BodyBudget(binding.max_total_body_bytes, clock)
        # Time of the last request with a body; None once memory has been released after it.
        self._last_request: float | None = None
        self._last_release = 0.0
        self._last_check = clock()
        self._closed = False
        self._socket_file: int | None = None
        self._channels: dict[int, Any] = {}
        self._listener = Listener(
            application,
            self._channels,
            _bind(binding.host, binding.port),
            self._adjustments(),
            binding.connections,
            render_error=render_error,
            draining=draining,
            clock=clock,
        )
        if binding.host.startswith(_UNIX):
            self._socket_file = _file_number(binding.host.removeprefix(_UNIX))

    def _adjustments(self) -> Adjustments:
        adjustments = Adjustments(
            threads=self._binding.threads,
            ident="keylike",
            # Large enough to read a large photo in a few iterations of the event loop.
            recv_bytes=1 << 20,
            max_request_body_size=MAX_DISCARDED_BYTES,
            max_request_header_size=32_768,
            # The listener has its own limit.
            connection_limit=sys.maxsize,
            # Makes waitress read from a connection while its request is processed, which is the
            # only way to notice a disconnect. Bytes that arrive belong to a pipelined request.
            channel_request_lookahead=1,
            # The application decides which proxies it trusts, and needs the proxies' headers.
            clear_untrusted_proxy_headers=False,
            # A disconnecting client is not an error of the server.
            log_socket_errors=False,
            asyncore_use_poll=True,
        )
        adjustments.new_body = self._new_body
        adjustments.is_refused = lambda path: False
        adjustments.early_status = self._early_status
        return adjustments

    @property
    def port(self) -> int:
        """Return the port that the socket is bound to."""
        return int(self._listener.effective_port)

    def run(self) -> None:
        """Serve until `stop` is called, then finish requests for at most `drain_s` seconds."""
        while not self._draining.is_set():
            self._poll(_WAITING_POLL_S if self._listener.has_waiting else 1.0)
            self._listener.admit_waiting()
            if self._check_connections():
                self._release_memory_when_due()
        self._stop_accepting()
        end = self._clock() + self._binding.drain_s
        while self._clock() < end:
            self._listener.close_idle(self._clock(), _KEEP_IDLE_S)
            if not self._listener.active_channels:
                break
            self._check_connections()
            if self._clock() >= end - _LAST_ANSWERS_S:
                self._refuse_incomplete(503, lambda request: True)
            self._poll(0.05)
        self.close()

    def close(self) -> None:
        """Stop the worker threads and close every socket. `run` calls this before it returns.

        Further calls have no effect. Do not call this while `run` is running in another thread.
        """
        if self._closed:
            return
        self._closed = True
        self._listener.task_dispatcher.shutdown(timeout=1)
        self._listener.close_waiting()
        wasyncore.close_all(self._channels)
        path = self._binding.host.removeprefix(_UNIX)
        # Delete the socket file only if another server has not replaced it.
        if self._socket_file is not None and _file_number(path) == self._socket_file:
            os.unlink(path)

    def stop(self) -> None:
        """Begin the shutdown. Signal handlers and all threads may call this."""
        if not self._draining.is_set():
            self._draining.set()
            # The event loop may have closed the trigger already.
            with contextlib.suppress(OSError):
                self._listener.pull_trigger()

    def install_signal_handlers(self) -> None:
        """Handle `STOP_SIGNALS`: the first one begins the shutdown, and a second one exits at once.

        A signal that is already ignored, such as SIGHUP under nohup, stays ignored.
        """

        def on_signal(number: int, _frame: object) -> None:
            if self._draining.is_set():
                hard_exit(128 + number)
            self.stop()

        for number in STOP_SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, on_signal)

    def _poll(self, timeout_s: float) -> None:
        wasyncore.loop(timeout=timeout_s, use_poll=True, map=self._channels, count=1)

    def _stop_accepting(self) -> None:
        """Accept the connections in the kernel's backlog and close the listening socket.

        Clients that connected before the shutdown still get a response. The listening socket is
        closed immediately after the last batch, because the kernel resets connections that it has
        accepted but this server has not.
        """
        listening = self._listener.socket
        for _ in range(_LAST_BATCHES):
            if not self._listener.accept_batch():
                break
        listening.close()
        self._listener.accepting = False
        self._listener.del_channel()
        self._listener.admit_all()

    def _is_busy(self) -> bool:
        channels = tuple(self._listener.active_channels.values())
        return any(
            channel.request or channel.requests or channel.total_outbufs_len for channel in channels
        )

    def _new_body(self, path: str) -> RequestBody:
        """Create the body of a request whose headers have been parsed."""
        now = self._clock()
        if self._last_request is None:
            self._last_release = now
        self._last_request = now
        max_bytes = self._binding.max_body_bytes_by_path.get(path, self._binding.max_body_bytes)
        return RequestBody(max_bytes, self.body_budget, self._retry_after(path))

    def _release_memory_when_due(self) -> None:
        """Release memory once after each period of load, and at intervals during a long one."""
        if self._last_request is None:
            return
        idle = self._last_check - self._last_request >= _IDLE_S and not self._is_busy()
        if idle or self._last_check - self._last_release >= _RELEASE_INTERVAL_S:
            if idle:
                self._last_request = None
            self._last_release = self._last_check
            self._release_memory()

    def _check_connections(self) -> bool:
        """Enforce the time limits of connections, at most once per second.

        Returns:
            True if a second had passed since the last check.
        """
        now = self._clock()
        if now - self._last_check < 1.0:
            return False
        self._last_check = now
        hurried = self._listener.scarce or self._draining.is_set()
        self._refuse_incomplete(408, lambda request: request.is_too_slow(now, hurried))
        self._listener.close_timed_out(now)
        return True

    def _refuse_incomplete(self, status: int, condition: Callable[[RequestParser], bool]) -> None:
        """Answer incomplete requests that meet `condition`, and close their connections."""
        for channel in tuple(self._listener.active_channels.values()):
            # A connection on which another request is in progress stays open for its response.
            incomplete = channel.request is not None and not channel.requests
            if incomplete and condition(channel.request):
                channel.refuse_incomplete(status)


def _bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to the first address of `host`, IPv4 before IPv6."""
    if host.startswith(_UNIX):
        return _bind_unix(host.removeprefix(_UNIX))
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


def _bind_unix(path: str) -> socket.socket:
    """Return a unix socket bound to `path`, to which its owner and group may connect.

    A socket file that a killed server has left there is replaced.
    """
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(path).st_mode) and not _is_served(path):
            os.unlink(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(path)
        os.chmod(path, 0o660)
    except OSError:
        bound.close()
        raise
    return bound


def _file_number(path: str) -> int | None:
    try:
        return os.lstat(path).st_ino
    except OSError:
        return None


def _is_served(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True
