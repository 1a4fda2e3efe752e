"""Which connections are taken and how long they are kept: all by the server's own clock, and none where there is no room for one more."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from waitress.server import TcpWSGIServer

_CONNECTIONS = 512
# Files of the process that are no connections: log, model, Redis, tokens, and what libraries open for a moment.
_OTHER_FILES = 64
# What accept() says where the process, or the machine, has no file or memory left for one more, and how long it is then left alone.
_EXHAUSTED, _PAUSE_S = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}), 1.0
# How long a connection is kept on which nothing happens; and where others wait for its place, one on which nothing is asked either.
_QUIET_S, _CROWDED_S = 120.0, 3.0
# How long answers may take to be fetched, and where others wait for the place.
_FETCHED_S, _FETCHED_CROWDED_S = 60.0, 10.0


class Listener(TcpWSGIServer):  # type: ignore[misc]
    """Takes connections; `clock` counts seconds."""

    clock: Callable[[], float]
    resumes = 0.0

    def accept(self) -> Any:
        """Where there is no room for one more, whoever waits goes on waiting: asked again at once, accept() would say the same."""
        try:
            return super().accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self.resumes = self.clock() + _PAUSE_S
            raise

    def readable(self) -> bool:
        """Whether more are taken."""
        return super().readable() and self.clock() >= self.resumes

    def maintenance(self, now: float) -> None:
        """Nothing: by the time of day, which this goes by, all would be cut off when that is set forward, and none when it is set back."""

    def add_task(self, channel: Any) -> None:
        """Has a connection's next request worked on, once the answers before it are on their way: who asks again and again and fetches
        nothing would have answers pile up, each with an open file, until the thread that writes one more is held."""
        if channel.may_begin():
            super().add_task(channel)

    def hang_up_on_the_quiet(self) -> None:
        """Closes connections on which nothing has happened for long, or answers are not fetched; to be called about once a second."""
        now = self.clock()
        for channel in tuple(self.active_channels.values()):
            if channel.last_activity != getattr(channel, "noted", None):
                channel.noted, channel.quiet_since = channel.last_activity, now
            crowded = (
                self.in_connection_overflow
                and channel.request is None
                and not channel.total_outbufs_len
            )
            channel.sent_until = (
                getattr(channel, "sent_until", now) if channel.total_outbufs_len else now
            )
            quiet = not channel.requests and now - channel.quiet_since > (
                _CROWDED_S if crowded else _QUIET_S
            )
            if quiet or now - channel.sent_until > (
                _FETCHED_CROWDED_S if self.in_connection_overflow else _FETCHED_S
            ):
                # At once: a mark would be seen when there is room to write, and who fetches nothing makes none.
                channel.handle_close()


def most_connections() -> int:
    """As many as there may be files, less those that are something else; each may have one open besides, which it is sent."""
    try:
        import resource  # there is none on Windows
    except ModuleNotFoundError:
        return _CONNECTIONS
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return (
        _CONNECTIONS
        if files == resource.RLIM_INFINITY
        else max(_OTHER_FILES, min(_CONNECTIONS, (files - _OTHER_FILES) // 2))
    )
