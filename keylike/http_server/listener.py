"""Accept connections, as many as the process can have open files, and close idle ones."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from keylike.http_server.channel import Channel

# Converts the status that waitress chose for a broken request to a status, headers and a JSON body.
ErrorRenderer = Callable[[int], tuple[int, Mapping[str, str], Mapping[str, object]]]

_MAX_CONNECTIONS = 512
# Open files that are not connections: log, model, Redis, tokens and short-lived files of libraries.
_OTHER_FILES = 64
# Errors of accept() when the process or the machine has no file descriptor or memory left.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# accept() would fail at once again, so the listener waits this long.
_ACCEPT_PAUSE_S = 1.0


class Listener(TcpWSGIServer):  # type: ignore[misc]
    """The listening socket, its worker threads and its connections."""

    channel_class = Channel

    def __init__(
        self,
        application: Any,
        channels: dict[int, Any],
        bound: socket.socket,
        adjustments: Adjustments,
        *,
        render_error: ErrorRenderer,
        draining: threading.Event,
        clock: Callable[[], float],
    ) -> None:
        """Start to listen on the socket `bound` and start the worker threads.

        Args:
            application: The WSGI application.
            channels: The map of the event loop, from file descriptors to channels.
            bound: A bound TCP socket.
            adjustments: The settings of waitress.
            render_error: See `ErrorRenderer`.
            draining: Set once the server shuts down.
            clock: Returns seconds.
        """
        self.render_error = render_error
        self.draining = draining
        self._clock = clock
        self._resumes_at = 0.0
        super().__init__(
            application,
            channels,
            _sock=bound,
            adj=adjustments,
            sockinfo=(bound.family, bound.type, bound.proto, bound.getsockname()),
            bind_socket=False,
        )

    def accept(self) -> Any:
        """Accept one connection; pause when the process has no resources for it."""
        try:
            return super().accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._resumes_at = self._clock() + _ACCEPT_PAUSE_S
            raise

    def readable(self) -> bool:
        """Return True if the event loop should accept connections."""
        return super().readable() and self._clock() >= self._resumes_at

    def maintenance(self, now: float) -> None:
        """Do nothing; `close_timed_out` replaces this.

        waitress would compare times of day here. When the system clock jumps forward, it would
        close every connection.
        """

    def add_task(self, channel: Any) -> None:
        """Queue the next request of `channel`, once the responses before it have been sent."""
        if channel.may_start():
            super().add_task(channel)

    def close_timed_out(self, now: float) -> None:
        """Close connections that are idle or whose responses are not fetched."""
        for channel in tuple(self.active_channels.values()):
            if channel.has_timed_out(now, self.in_connection_overflow):
                # `will_close` would take effect only when the socket can be written to. A client
                # that fetches nothing never lets that happen.
                channel.handle_close()


def max_connections() -> int:
    """Return how many connections the limit of open files allows.

    Each connection may need a second file, for a static file that it downloads.
    """
    try:
        import resource  # not available on Windows
    except ModuleNotFoundError:
        return _MAX_CONNECTIONS
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return _MAX_CONNECTIONS
    return max(_OTHER_FILES, min(_MAX_CONNECTIONS, (files - _OTHER_FILES) // 2))
