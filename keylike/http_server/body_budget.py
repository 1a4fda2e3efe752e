"""The bodies of requests on their way in: kept in pieces as they arrive, bounded each and all together, never on disk."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

# What a body holds without asking whether there is room for it: a phone's capture, on each of the server's connections, is no danger.
_SMALL_BYTES = 200_000
# Pieces below this size are put together: by themselves they would take many times their bytes.
_PIECE_BYTES = 32_768
# Which, when a room is full, is no honest phone's pace: the next 32 kB took so long.
_STALLED_S = 5.0
# Who is not let in for want of room comes back when one of those inside has been read.
_RETRY_AFTER_S = 1


class BodyBudget:
    """Bytes that all bodies together may hold beyond the first 200 kB of each; `clock` counts seconds. Where they run out, bodies that have
    stalled on their way make room for those that come in."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._left, self._clock = most, clock
        self._lock = threading.Lock()
        # Those still on their way, each with when it last got on.
        self._coming: dict[RequestBody, float] = {}

    def take(self, body: RequestBody, count: int) -> bool:
        """Takes so many, if they are left or others give theirs up."""
        now = self._clock()
        while True:
            with self._lock:
                if count <= self._left:
                    self._left -= count
                    self._coming[body] = now
                    return True
                stalled = min(
                    (each for each in self._coming if each is not body),
                    key=self._coming.__getitem__,
                    default=None,
                )
                if stalled is None or now - self._coming[stalled] < _STALLED_S:
                    return False
            stalled.turn_away()

    def arrived(self, body: RequestBody) -> None:
        """It is whole: nobody takes its place any more."""
        with self._lock:
            self._coming.pop(body, None)

    def give(self, body: RequestBody, count: int) -> None:
        """Gives back what a body has held."""
        with self._lock:
            self._coming.pop(body, None)
            self._left += count


class RequestBody:
    """One request's body, for waitress a buffer and for the application a stream that is read once.

    It counts all that arrives. It keeps it up to `limit` bytes, since the application refuses the rest by its length alone, and as long as
    there is `room`. `turned_away` is None, or after how many seconds whoever sent it may come back: then nothing of it is kept.
    """

    def __init__(self, limit: int, room: BodyBudget, turned_away: int | None = None) -> None:
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
        if self._arrived > self._limit:
            self.close()
            return
        # In steps, so that one who sends byte for byte gets on no more often than one who sends nothing.
        steps = -(-max(0, self._arrived - _SMALL_BYTES - self._held) // _PIECE_BYTES)
        if steps and not self._room.take(self, steps * _PIECE_BYTES):
            self.turn_away()
            return
        self._held += steps * _PIECE_BYTES
        if len(data) < _PIECE_BYTES:
            self._crumbs += data
        if len(data) >= _PIECE_BYTES or len(self._crumbs) >= _PIECE_BYTES:
            self._sweep()
        if len(data) >= _PIECE_BYTES:
            self._pieces.append(data)

    def arrived(self) -> None:
        """All of it is there."""
        self._room.arrived(self)

    def turn_away(self) -> None:
        """There is no room for it: what is there goes, and what still comes is not kept."""
        self.turned_away = _RETRY_AFTER_S
        self.close()

    def getfile(self) -> RequestBody:
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
        self._room.give(self, held)

    def _sweep(self) -> None:
        if self._crumbs:
            self._pieces.append(bytes(self._crumbs))
            self._crumbs.clear()
