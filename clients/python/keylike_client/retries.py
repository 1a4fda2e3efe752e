"""Retry policy: which requests are sent again, after how many seconds, and when to give up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from keylike_client.connections import NotConnected
from keylike_client.errors import KeylikeError, Refused, UnexpectedAnswer

# Statuses after which a request is sent again. The server has not processed these requests.
_RETRIED_STATUSES = (429, 503)
# First and longest wait before a retry in seconds. Each wait is twice as long as the one before.
_FIRST_WAIT_S = 0.5
_MAX_BACKOFF_S = 8.0
# Largest random addition to a wait, as a fraction of the wait. Without it, many clients would retry
# at the same moment.
_MAX_JITTER = 0.25

Sleep = Callable[[float, threading.Event], object]


def sleep(seconds: float, cancelled: threading.Event) -> None:
    """Wait for `seconds`, or until the event is set."""
    cancelled.wait(seconds)


class RetryPolicy:
    """Retry policy that all requests of a client share.

    If the server asks one request to wait (Retry-After), the other requests wait too.

    Args:
        patience_s: Longest total time for the retries of one call, in seconds.
        clock: Function that returns the seconds of a monotonic clock.
        sleep: Function that waits.
        jitter: Function that returns random numbers from 0 to 1.
    """

    def __init__(
        self,
        patience_s: float,
        clock: Callable[[], float],
        sleep: Sleep,
        jitter: Callable[[], float],
    ) -> None:
        self._patience_s = patience_s
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._lock = threading.Lock()
        self._not_before = clock()

    def run(self, attempt: Callable[[], bytes], cancelled: threading.Event) -> bytes:
        """Call `attempt`, again if needed, and return its result.

        Raises:
            KeylikeError: The last error, if a retry is not safe or if there is no time left.
        """
        deadline, retries = self._clock() + self._patience_s, 0
        self._wait(self._remaining_delay(), cancelled)
        while True:
            try:
                return attempt()
            except (NotConnected, Refused, UnexpectedAnswer) as error:
                wait_s = self._wait_after(error, retries)
                if wait_s is None or cancelled.is_set() or self._clock() + wait_s > deadline:
                    raise
            retries += 1
            self._wait(max(wait_s, self._remaining_delay()), cancelled)

    def _wait_after(self, error: KeylikeError, retries: int) -> float | None:
        """Return the seconds to wait before a retry, or None if a retry is not safe."""
        backoff = min(_FIRST_WAIT_S * 2.0 ** min(retries, 10), _MAX_BACKOFF_S)
        if isinstance(error, Refused | UnexpectedAnswer):
            if error.status not in _RETRIED_STATUSES:
                return None
            requested_s = error.retry_after_s or 0.0
            # A wait that is longer than `patience_s` causes an error. It does not delay other
            # requests.
            if requested_s <= self._patience_s:
                with self._lock:
                    self._not_before = max(self._not_before, self._clock() + requested_s)
            return max(requested_s, backoff)
        return backoff

    def _remaining_delay(self) -> float:
        """Return the seconds until the next request is allowed."""
        with self._lock:
            return max(self._not_before - self._clock(), 0.0)

    def _wait(self, seconds: float, cancelled: threading.Event) -> None:
        if seconds > 0:
            self._sleep(seconds * (1 + _MAX_JITTER * self._jitter()), cancelled)


def retry_after_s(value: str | None, now: float) -> float | None:
    """Return the seconds of a Retry-After header, or None if it is missing or invalid.

    A date is converted into seconds from `now`, which is in seconds since 1970.
    """
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit() and len(value) < 10:
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - now, 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
