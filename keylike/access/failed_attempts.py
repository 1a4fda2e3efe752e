"""Limit wrong tokens per client: delay the responses after several, block after many."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from keylike.access.quotas import Windows

# Number of wrong tokens that a client may send per window of WINDOW_S seconds before it is blocked
# for WINDOW_S seconds. A person with a wrong token tries only a few times.
MAX_FAILURES = 20
WINDOW_S = 60
# From this number of wrong tokens per window on, each response is delayed by _DELAY_S seconds.
_SLOWED_FROM = 5
_DELAY_S = 0.25
# Number of threads that may delay a response at the same time. Further responses are not delayed,
# because an attacker with many addresses could otherwise occupy all threads.
_MAX_DELAYED = 4
# Largest number of clients, and of successful tokens, that are kept in memory.
_MAX_CLIENTS = 10_000
_MAX_TOKENS = 10_000


class FailedAttempts:
    """The failed authentications of all clients, in bounded memory.

    A client that has failed too often is blocked for WINDOW_S seconds. During that time, only
    tokens that it has used successfully before are checked. Without this exception, one program
    with a wrong token would block all programs behind the same address.

    Args:
        clock: returns monotonic seconds.
        count_shared: counts a failure in a store that replicas share. Returns False if there are
            too many, and True if the store cannot be used.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        count_shared: Callable[[str], bool] = lambda client: True,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._clock = clock
        self._count_shared = count_shared
        self._sleep = sleep
        self._lock = threading.Lock()
        self._delays = threading.BoundedSemaphore(_MAX_DELAYED)
        self._windows = Windows("", clock=clock, wall=clock, max_names=_MAX_CLIENTS)
        self._blocked_until: OrderedDict[str, float] = OrderedDict()
        self._used: OrderedDict[bytes, None] = OrderedDict()

    def record_failure(self, client: str) -> None:
        """Count a wrong token, and wait _DELAY_S seconds if there have been several."""
        if not self._count_shared(client):
            self._block(client)
        self.record_failure_at_once(client)
        count = self._windows.get_moving_window(client, MAX_FAILURES, WINDOW_S)[1]
        if count >= _SLOWED_FROM and self._delays.acquire(blocking=False):
            try:
                self._sleep(_DELAY_S)
            finally:
                self._delays.release()

    def record_failure_at_once(self, client: str) -> None:
        """Count a wrong token in this process only. This never waits."""
        if not self._windows.acquire_entry(client, MAX_FAILURES, WINDOW_S):
            self._block(client)

    def record_success(self, client: str, token: str) -> None:
        """Remember that the client has used this token."""
        used = _digest(client, token)
        with self._lock:
            self._used[used] = None
            self._used.move_to_end(used)
            _trim(self._used, _MAX_TOKENS)

    def blocked_s(self, client: str, token: str) -> int:
        """Return for how many more seconds this token is refused unchecked; 0 if it is checked."""
        with self._lock:
            until = self._blocked_until.get(client)
            if until is None:
                return 0
            left_s = until - self._clock()
            if left_s <= 0:
                del self._blocked_until[client]
                return 0
            return 0 if _digest(client, token) in self._used else math.ceil(left_s)

    def _block(self, client: str) -> None:
        with self._lock:
            self._blocked_until[client] = self._clock() + WINDOW_S
            _trim(self._blocked_until, _MAX_CLIENTS)


def _digest(client: str, token: str) -> bytes:
    text = f"{client}\0{token}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).digest()


def _trim(entries: OrderedDict[str, float] | OrderedDict[bytes, None], size: int) -> None:
    """Drop the oldest entries until at most `size` are left."""
    while len(entries) > size:
        entries.popitem(last=False)
