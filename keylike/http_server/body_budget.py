"""Request bodies in memory: each has a size limit, and all of them share one memory budget."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

# Number of bytes of each body that need no reservation. A phone's capture is smaller, so captures
# are always accepted. With 512 connections this adds about 100 MB to the budget.
_FREE_BYTES = 200_000
# Number of bytes of one reservation. Received pieces smaller than this are joined. Otherwise a
# client that sends single bytes would cost one bytes object (33 bytes of overhead) for each.
_STEP_BYTES = 32_768
# Seconds. If the budget is used up, an upload that has needed longer than this for _STEP_BYTES is
# evicted.
_STALLED_S = 5.0
# Seconds after which a client may retry if its body was refused because the budget was used up.
_RETRY_AFTER_S = 1


class BodyBudget:
    """The memory for all request bodies together, without the first 200 kB of each.

    When the budget is used up, a new reservation evicts uploads that have stalled.
    """

    def __init__(self, max_bytes: int, clock: Callable[[], float]) -> None:
        """Create a budget of `max_bytes`; `clock` returns seconds."""
        self._available = max_bytes
        self._clock = clock
        self._lock = threading.Lock()
        # Incomplete bodies, each with the time of its last reservation.
        self._uploads: dict[RequestBody, float] = {}

    @property
    def available(self) -> int:
        """Return the number of bytes that are not reserved."""
        return self._available

    def reserve(self, body: RequestBody, count: int) -> bool:
        """Reserve `count` bytes for `body`, evicting stalled uploads if necessary.

        Returns:
            False if there is still not enough memory.
        """
        now = self._clock()
        while True:
            with self._lock:
                if count <= self._available:
                    self._available -= count
                    self._uploads[body] = now
                    return True
                stalled = min(
                    (each for each in self._uploads if each is not body),
                    key=self._uploads.__getitem__,
                    default=None,
                )
                if stalled is None or now - self._uploads[stalled] < _STALLED_S:
                    return False
            stalled.reject()

    def mark_complete(self, body: RequestBody) -> None:
        """Protect `body` from eviction, because all of it has arrived."""
        with self._lock:
            self._uploads.pop(body, None)

    def release(self, body: RequestBody, count: int) -> None:
        """Add the `count` bytes that `body` had reserved to the budget again."""
        with self._lock:
            self._uploads.pop(body, None)
            self._available += count


class RequestBody:
    """The body of one request.

    waitress writes to it, and the application can read it once, as a stream. It counts every byte
    that arrives, but it discards the content in two cases:

    - The body is larger than `max_bytes`. The application then refuses it because of its length.
    - The budget is used up. `retry_after_s` is then the number of seconds after which the client
      may retry.
    """

    def __init__(
        self, max_bytes: int, budget: BodyBudget, retry_after_s: int | None = None
    ) -> None:
        """Create an empty body. If `retry_after_s` is given, all its content will be discarded."""
        self.retry_after_s = retry_after_s
        self._max_bytes = max_bytes
        self._budget = budget
        self._received = 0
        self._reserved = 0
        self._pieces: deque[bytes] = deque()
        self._small_pieces = bytearray()

    def __len__(self) -> int:
        return self._received

    def append(self, data: bytes) -> None:
        """Add the next piece of the body."""
        self._received += len(data)
        if self.retry_after_s is not None:
            return
        if self._received > self._max_bytes:
            self.close()
            return
        # Reservations are for whole steps and count as progress, so that a client cannot avoid
        # eviction by sending single bytes.
        steps = -(-max(0, self._received - _FREE_BYTES - self._reserved) // _STEP_BYTES)
        if steps and not self._budget.reserve(self, steps * _STEP_BYTES):
            self.reject()
            return
        self._reserved += steps * _STEP_BYTES
        if len(data) < _STEP_BYTES:
            self._small_pieces += data
        if len(data) >= _STEP_BYTES or len(self._small_pieces) >= _STEP_BYTES:
            self._join_small_pieces()
        if len(data) >= _STEP_BYTES:
            self._pieces.append(data)

    def reserve(self, count: int) -> bool:
        """Reserve `count` more bytes, until `close`, for data that the application derives from it.

        Returns:
            False if the budget is used up.
        """
        if not self._budget.reserve(self, count):
            return False
        self._budget.mark_complete(self)
        self._reserved += count
        return True

    def mark_complete(self) -> None:
        """Protect the body from eviction, because all of it has arrived."""
        self._budget.mark_complete(self)

    def reject(self) -> None:
        """Discard the content and all further pieces, because the budget is used up."""
        self.retry_after_s = _RETRY_AFTER_S
        self.close()

    def getfile(self) -> RequestBody:
        """Return the stream for the application, which is this object."""
        return self

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` further bytes, or all remaining bytes if `size` is negative.

        Most pieces are returned as they arrived, without a copy.
        """
        self._join_small_pieces()
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
        """Discard the content and release its reservation. Further calls have no effect."""
        self._pieces.clear()
        self._small_pieces.clear()
        reserved = self._reserved
        self._reserved = 0
        self._budget.release(self, reserved)

    def _join_small_pieces(self) -> None:
        if self._small_pieces:
            self._pieces.append(bytes(self._small_pieces))
            self._small_pieces.clear()
