"""Accept connections up to the limit of open files, and close idle connections for new ones.

When all connection slots are in use, the server closes the least recently used idle connection to
admit a new one. If all idle connections were used within the last two seconds, the new connection
waits. Of the waiting connections, those of the address with the fewest open connections are
admitted first, and of these the newest. Clients that reconnect whenever the server closes their
connection therefore cannot keep others out. If no connection is idle, the new one is restricted:
only health checks are answered on it, and everything else is refused with 503.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Any

from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from keylike.access.addresses import parse_address
from keylike.http_server.channel import Channel

# A function from the status that waitress chose for a refused request, and the request's Origin, to
# a status, headers and a JSON body.
ErrorRenderer = Callable[[int, str | None], tuple[int, Mapping[str, str], Mapping[str, object]]]

# Number of connection slots, if the limit of open files allows it.
_MAX_CONNECTIONS = 512
# Number of restricted connections in addition to the slots.
_RESERVED = 32
# If at least this share of the slots is in use, each response closes its connection.
_CROWDED = 0.75
# Seconds for which an idle connection must not have been used before it is closed for a new one.
_LEAST_IDLE_S = 2.0
# Largest number of accepted connections that wait for a free connection slot, and the longest time
# that they wait, in seconds. Each of them needs an open file, but no processor time.
_MAX_WAITING = 2048
_WAIT_S = 30.0
# Number of open files that the server requests from the system, if the hard limit allows it.
_WANTED_FILES = 4096
# Largest number of connections that are accepted in one iteration of the event loop. With one at a
# time, each new connection would cost an iteration over all connections.
_ACCEPT_BATCH = 64
# REMOTE_ADDR of a connection to a unix socket. It is not an IP address, so such a client never
# counts as local: a proxy in front of the socket forwards requests of remote clients.
UNIX_ADDRESS = "unix"
# Number of open files for other purposes: log, model, Redis, tokens, temporary files of libraries.
_OTHER_FILES = 64
# Errors of accept() when the process or the machine has no file descriptor or memory left.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# Seconds to wait after such an error, because accept() would fail again immediately.
_ACCEPT_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits on open connections.

    Attributes:
        per_address: Largest number of connections of one IPv4 address or one IPv6 /64 network.
        shared_addresses: Networks of reverse proxies and tunnels, to which `per_address` does not
            apply.
        reserved_paths: Paths that are also answered on restricted connections.
    """

    per_address: int = 128
    shared_addresses: Sequence[str] = ()
    reserved_paths: Collection[str] = ()


class Listener(TcpWSGIServer):  # type: ignore[misc]
    """The listening socket, its worker threads and its connections."""

    channel_class = Channel

    def __init__(
        self,
        application: Any,
        channels: dict[int, Any],
        bound: socket.socket,
        adjustments: Adjustments,
        limits: ConnectionLimits,
        *,
        render_error: ErrorRenderer,
        draining: threading.Event,
        clock: Callable[[], float],
    ) -> None:
        """Listen on the socket `bound` and start the worker threads.

        Args:
            application: The WSGI application.
            channels: The map of the event loop, from file descriptors to channels.
            bound: A bound TCP or unix socket.
            adjustments: The settings of waitress.
            limits: Limits on connections per address, and exceptions from the limits.
            render_error: See `ErrorRenderer`.
            draining: Set once the server shuts down.
            clock: Returns seconds.
        """
        self.render_error = render_error
        self.draining = draining
        self._clock = clock
        self._resumes_at = 0.0
        self._limits = limits
        self._shared = [
            ipaddress.ip_network(each) for each in limits.shared_addresses if each != UNIX_ADDRESS
        ]
        # Accepted connections that wait for a free slot, the oldest first, by client network.
        self._waiting: dict[str, list[_Waiting]] = {}
        self._max_waiting = _max_waiting()
        self._network_of = lru_cache(4096)(self._find_network)
        # Number of connection slots. Restricted connections do not use them.
        self.max_connections = max_connections()
        super().__init__(
            application,
            channels,
            _sock=bound,
            adj=adjustments,
            sockinfo=(bound.family, bound.type, bound.proto, bound.getsockname()),
            bind_socket=False,
        )

    @property
    def scarce(self) -> bool:
        """Return True if all connection slots are in use, so that new clients wait."""
        return len(self.active_channels) >= self.max_connections

    def closes_after_response(self) -> bool:
        """Return True if each response must close its connection.

        That is the case during shutdown, and while most connection slots are in use.
        """
        crowded = len(self.active_channels) >= _CROWDED * self.max_connections
        return crowded or self.draining.is_set()

    def is_reserved(self, path: str) -> bool:
        """Return True if `path` is answered on restricted connections too."""
        return path in self._limits.reserved_paths

    def has_room_for(self, network: str) -> bool:
        """Return True if the limits now allow one more normal connection of `network`."""
        count = _ConnectionCount(self.active_channels.values(), self._clock(), 0.0)
        return count.total < self.max_connections and not self._is_at_limit(network, count)

    def getsockname(self) -> tuple[str, int]:
        """Return the address and the port; the port of a unix socket is 0."""
        if _is_unix(self.socket):
            return UNIX_ADDRESS, 0
        host, port = super().getsockname()
        return host, port

    def set_socket_options(self, conn: socket.socket) -> None:
        """Set the options of a TCP connection."""
        if not _is_unix(conn):
            super().set_socket_options(conn)

    def accept(self) -> Any:
        """Accept one connection. Stop accepting for a moment if there are no resources for it."""
        try:
            pair = super().accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._resumes_at = self._clock() + _ACCEPT_PAUSE_S
            raise
        # The rest of the server expects an address and a port.
        return (pair[0], (UNIX_ADDRESS, 0)) if pair and _is_unix(self.socket) else pair

    def readable(self) -> bool:
        """Return True if the event loop should accept connections."""
        return super().readable() and self._clock() >= self._resumes_at

    def handle_accept(self) -> None:
        """Accept connections that wait in the kernel."""
        self.accept_batch()
        self.admit_waiting()

    def accept_batch(self) -> bool:
        """Accept connections that wait in the kernel.

        Returns:
            True if there were any.
        """
        now = self._clock()
        for number in range(_ACCEPT_BATCH):
            try:
                pair = self.accept()
            except OSError:
                return number > 0
            if pair is None:
                return number > 0
            sock, address = pair
            network = self._network_of(address[0])
            # Removing and adding the queue keeps the networks ordered by their newest connection.
            queue = self._waiting.pop(network, [])
            queue.append(_Waiting(sock, address, now))
            self._waiting[network] = queue
        return True

    @property
    def has_waiting(self) -> bool:
        """Return True if accepted connections are waiting for a free connection slot."""
        return bool(self._waiting)

    def admit_waiting(self) -> None:
        """Create channels for waiting connections, as far as there are free connection slots."""
        if not self._waiting:
            return
        now = self._clock()
        least_idle_s = _LEAST_IDLE_S if self._max_waiting else 0.0
        count = _ConnectionCount(self.active_channels.values(), now, least_idle_s)
        # Networks with few connections come first; of equal ones, the one with the newest
        # connection.
        newest = reversed(tuple(self._waiting))
        for network in sorted(newest, key=count.by_network.__getitem__):
            queue = self._waiting[network]
            admitted = []
            while queue and (slot := self._find_slot(network, count)):
                count.take(network, slot)
                admitted.append((queue.pop(), slot))
            for waiting, slot in reversed(admitted):
                self._open_channel(waiting, network, slot)
            if not queue:
                del self._waiting[network]
        self._drop_waiting(now)

    def admit_all(self) -> None:
        """Create channels for all waiting connections, even above the limits."""
        for network, queue in self._waiting.items():
            for waiting in queue:
                self._open_channel(waiting, network, _Slot.NORMAL)
        self._waiting.clear()

    def close_waiting(self) -> None:
        """Close the connections that are waiting for a free connection slot."""
        for queue in self._waiting.values():
            for waiting in queue:
                waiting.sock.close()
        self._waiting.clear()

    def _find_slot(self, network: str, count: _ConnectionCount) -> _Slot | None:
        """Return a slot for a new connection, or None if it must wait.

        An idle connection is closed if necessary.
        """
        if self._is_at_limit(network, count):
            scope: str | None = network
        elif count.total >= self.max_connections:
            scope = None
        else:
            return _Slot.NORMAL
        if count.evict_idle(scope):
            return _Slot.NORMAL
        if count.has_idle(scope):
            return None
        free = count.restricted < _RESERVED or count.evict_restricted()
        return _Slot.RESTRICTED if free else None

    def _open_channel(self, waiting: _Waiting, network: str, slot: _Slot) -> None:
        try:
            self.set_socket_options(waiting.sock)
        except OSError:
            # The client has disconnected.
            waiting.sock.close()
            return
        self.channel_class(
            self,
            waiting.sock,
            waiting.address,
            self.adj,
            map=self._map,
            network=network,
            restricted=slot is _Slot.RESTRICTED,
        )

    def _drop_waiting(self, now: float) -> None:
        """Close connections that have waited too long, and the oldest ones if too many wait."""
        excess = sum(map(len, self._waiting.values())) - self._max_waiting
        for network in tuple(self._waiting):
            queue = self._waiting[network]
            late = sum(now - waiting.since > _WAIT_S for waiting in queue)
            dropped = min(len(queue), max(late, excess))
            excess -= dropped
            for waiting in queue[:dropped]:
                waiting.sock.close()
            del queue[:dropped]
            if not queue:
                del self._waiting[network]

    def _is_at_limit(self, network: str, count: _ConnectionCount) -> bool:
        """Return True if `network` has as many connections as one address may have."""
        return bool(network) and count.by_network[network] >= self._limits.per_address

    def _find_network(self, address: str) -> str:
        """Return the name under which connections from `address` are counted.

        It is the address, or the /64 network of an IPv6 address, because one client usually has a
        whole /64 network. It is empty for a proxy or tunnel, which many clients share.
        """
        found = parse_address(address)
        if found is None or any(found in network for network in self._shared):
            return ""
        if isinstance(found, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((found, 64), strict=False))
        return str(found)

    def maintenance(self, now: float) -> None:
        """Do nothing; `close_timed_out` replaces this method of waitress.

        waitress compares times of day here. If the system clock jumped forward, it would close all
        connections.
        """

    def add_task(self, channel: Any) -> None:
        """Queue the next request of `channel` if all responses before it have been sent."""
        if channel.may_start():
            super().add_task(channel)

    def close_timed_out(self, now: float) -> None:
        """Close connections that have been idle, or have not received responses, for too long."""
        for channel in tuple(self.active_channels.values()):
            if channel.has_timed_out(now, self.scarce):
                # `will_close` would take effect only when the socket can be written to, which never
                # happens if the client receives nothing.
                channel.handle_close()

    def close_idle(self, now: float, least_s: float) -> None:
        """Close connections that have been idle for `least_s` seconds."""
        for channel in tuple(self.active_channels.values()):
            if channel.idle_s(now) >= least_s and channel.is_idle() and channel.is_evictable():
                channel.handle_close()


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An accepted connection that has no channel yet.

    Attributes:
        sock: The socket.
        address: The client's address, as accept() returns it.
        since: When it was accepted, in seconds by the server's clock.
    """

    sock: socket.socket
    address: Any
    since: float


class _Slot(Enum):
    """The kind of connection slot that a new connection gets."""

    NORMAL = auto()
    RESTRICTED = auto()


class _ConnectionCount:
    """The numbers of open connections, updated while new ones are admitted.

    Attributes:
        total: Number of normal connections.
        restricted: Number of restricted connections.
        by_network: Number of normal connections by client network.
    """

    def __init__(self, channels: Iterable[Channel], now: float, least_idle_s: float) -> None:
        """Count `channels`.

        Args:
            channels: The open connections.
            now: Seconds by the server's clock.
            least_idle_s: Only connections that were not used for this long are closed.
        """
        self._channels = tuple(channels)
        self._now = now
        self._least_idle_s = least_idle_s
        # Idle channels, the least recently used one first. The list is built when it is needed.
        self._idle: list[Channel] | None = None
        self.by_network = Counter(each.network for each in self._channels if not each.restricted)
        self.total = self.by_network.total()
        self.restricted = len(self._channels) - self.total

    def take(self, network: str, slot: _Slot) -> None:
        """Count a new connection."""
        if slot is _Slot.RESTRICTED:
            self.restricted += 1
        else:
            self.total += 1
            self.by_network[network] += 1

    def has_idle(self, network: str | None) -> bool:
        """Return True if a normal connection of `network` is idle; of any network if it is None."""
        return any(_matches(each, network) for each in self._idle_channels())

    def evict_idle(self, network: str | None) -> bool:
        """Close the least recently used idle connection of `network`; of any network if it is None.

        Returns:
            False if there is no idle connection that was unused for `least_idle_s` seconds.
        """
        channel = self._evict(lambda each: _matches(each, network))
        if channel is None:
            return False
        self.total -= 1
        self.by_network[channel.network] -= 1
        return True

    def evict_restricted(self) -> bool:
        """Close the least recently used idle restricted connection.

        Returns:
            False if none was unused for `least_idle_s` seconds.
        """
        if self._evict(lambda each: each.restricted) is None:
            return False
        self.restricted -= 1
        return True

    def _evict(self, condition: Callable[[Channel], bool]) -> Channel | None:
        """Close and return the least recently used idle channel that meets `condition`."""
        for channel in self._idle_channels():
            if condition(channel):
                if not channel.is_lingering and channel.idle_s(self._now) < self._least_idle_s:
                    return None
                # A connection whose next request has already arrived stays open.
                if channel.is_evictable():
                    self._idle_channels().remove(channel)
                    channel.handle_close()
                    return channel
        return None

    def _idle_channels(self) -> list[Channel]:
        if self._idle is None:
            idle = [each for each in self._channels if each.is_idle()]
            self._idle = sorted(idle, key=lambda each: (not each.is_lingering, each.last_used))
        return self._idle


def _matches(channel: Channel, network: str | None) -> bool:
    return not channel.restricted and network in (None, channel.network)


def raise_file_limit() -> None:
    """Raise the limit of open files of this process, as far as its hard limit permits."""
    try:
        import resource  # not available on Windows
    except ModuleNotFoundError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(_WANTED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _is_unix(connection: socket.socket) -> bool:
    return connection.family == getattr(socket, "AF_UNIX", None)


def max_connections() -> int:
    """Return the number of connection slots that the limit of open files allows.

    Each connection may need a second open file, for a static file that the client downloads.
    """
    files = _file_limit()
    if files is None:
        return _MAX_CONNECTIONS
    return max(_OTHER_FILES, min(_MAX_CONNECTIONS, (files - _OTHER_FILES) // 2))


def _max_waiting() -> int:
    """Return how many accepted connections may wait for a free connection slot."""
    files = _file_limit()
    if files is None:
        return _MAX_WAITING
    in_use = _OTHER_FILES + 2 * max_connections() + _RESERVED + _ACCEPT_BATCH
    return max(0, min(_MAX_WAITING, files - in_use))


def _file_limit() -> int | None:
    """Return how many files this process may open, or None if there is no limit."""
    try:
        import resource  # not available on Windows
    except ModuleNotFoundError:
        return None
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if files == resource.RLIM_INFINITY else files
