"""The bodies of requests on their way in: kept in pieces as they arrive, bounded each and all together, never on disk."""

from __future__ import annotations

import threading
from collections import deque

# What a body holds without asking whether there is room for it: a phone's capture, on each of the server's connections, is no danger.
_SMALL_BYTES = 200_000
# Pieces below this size are put together: by themselves they would take many times their bytes.
_PIECE_BYTES = 32_768
# Who is not let in for want of room comes back when one of those inside has been read.
_RETRY_AFTER_S = 1


class Room:
    """Bytes that all bodies together may hold beyond the first 200 kB of each."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        """Takes so many, if they are left."""
        with self._lock:
            if count > self._left:
                return False
            self._left -= count
            return True

    def give(self, count: int) -> None:
        """Gives so many back."""
        with self._lock:
            self._left += count


class Body:
    """One request's body, for waitress a buffer and for the application a stream that is read once.

    It counts all that arrives. It keeps it up to `limit` bytes, since the application refuses the rest by its length alone, and as long as
    there is `room`. `turned_away` is None, or after how many seconds whoever sent it may come back: then nothing of it is kept.
    """

    def __init__(self, limit: int, room: Room, turned_away: int | None = None) -> None:
        self.turned_away = turned_away
        self._limit, self._room = limit, room
        self._arrived = self._held = 0
        self._pieces: deque[bytes] = deque()
        self._crumbs = bytearray()

    def __len__(self) -> int:
        return self._arrived

    def append(self, data: bytes) -> None:
        """The next piece."""
        self._arrived += len(data)
        if self.turned_away is not None:
            return
        beyond = max(0, self._arrived - _SMALL_BYTES - self._held)
        if self._arrived > self._limit:
            self.close()
            return
        if beyond and not self._room.take(beyond):
            self.turned_away = _RETRY_AFTER_S
            self.close()
            return
        self._held += beyond
        if len(data) < _PIECE_BYTES:
            self._crumbs += data
        if len(data) >= _PIECE_BYTES or len(self._crumbs) >= _PIECE_BYTES:
            self._sweep()
        if len(data) >= _PIECE_BYTES:
            self._pieces.append(data)

    def getfile(self) -> Body:
        """The stream for the application: itself."""
        return self

    def read(self, size: int = -1) -> bytes:
        """The next bytes, `size` at most or all that are left; mostly just as they arrived, so that they are not copied."""
        self._sweep()
        if size < 0:
            rest = b"".join(self._pieces)
            self._pieces.clear()
            return rest
        if not self._pieces:
            return b""
        piece = self._pieces.popleft()
        if len(piece) > size:
            self._pieces.appendleft(piece[size:])
        return piece[:size]

    def close(self) -> None:
        """The request is over: its place goes to others. More than once does no harm."""
        self._pieces.clear()
        self._crumbs.clear()
        held, self._held = self._held, 0
        self._room.give(held)

    def _sweep(self) -> None:
        if self._crumbs:
            self._pieces.append(bytes(self._crumbs))
            self._crumbs.clear()
