"""When to ask again: what is safe, after how long, and when to give up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from keylike_client.connections import NotConnected
from keylike_client.errors import KeylikeError, Refused, UnexpectedAnswer

# Nothing of such a request was worked on.
_TURNED_AWAY = (429, 503)
_FIRST_WAIT_S = 0.5
_LONGEST_BACKOFF_S = 8.0
# Of a wait, at most so much more: callers who were turned away together do not come back together.
_JITTER = 0.25

Rest = Callable[[float, threading.Event], object]


def rest(seconds: float, given_up: threading.Event) -> None:
    """Waits, but not for somebody who has gone."""
    given_up.wait(seconds)


class Patience:
    """Asks again for at most `patience_s` seconds in all, by `clock`; `rest` waits, `chance` gives numbers from 0 to 1.

    Shared by all requests of a client: once one is told to come back later, the others do not ask before either.
    """

    def __init__(
        self, patience_s: float, clock: Callable[[], float], rest: Rest, chance: Callable[[], float]
    ) -> None:
        self._patience_s, self._clock, self._rest, self._chance = patience_s, clock, rest, chance
        self._lock = threading.Lock()
        self._not_before = clock()

    def keep_asking(self, ask: Callable[[], bytes], given_up: threading.Event) -> bytes:
        """What `ask` gives. Raises what it last raised where asking again is not safe, or there is no time left for it."""
        ends, attempt = self._clock() + self._patience_s, 0
        self._wait(self._before(), given_up)
        while True:
            try:
                return ask()
            except (NotConnected, Refused, UnexpectedAnswer) as error:
                wait_s = self._after(error, attempt)
                if wait_s is None or given_up.is_set() or self._clock() + wait_s > ends:
                    raise
            attempt += 1
            self._wait(max(wait_s, self._before()), given_up)

    def _after(self, error: KeylikeError, attempt: int) -> float | None:
        """Seconds to wait, or None where it is not safe to ask again."""
        backoff = min(_FIRST_WAIT_S * 2.0 ** min(attempt, 10), _LONGEST_BACKOFF_S)
        if isinstance(error, Refused | UnexpectedAnswer):
            if error.status not in _TURNED_AWAY:
                return None
            asked_s = error.retry_after_s or 0.0
            # What is longer than anybody here waits is for the caller to know, and holds up no other request.
            if asked_s <= self._patience_s:
                with self._lock:
                    self._not_before = max(self._not_before, self._clock() + asked_s)
            return max(asked_s, backoff)
        return backoff

    def _before(self) -> float:
        """Seconds until anybody may ask."""
        with self._lock:
            return max(self._not_before - self._clock(), 0.0)

    def _wait(self, seconds: float, given_up: threading.Event) -> None:
        if seconds > 0:
            self._rest(seconds * (1 + _JITTER * self._chance()), given_up)


def retry_after_s(value: str | None, now: float) -> float | None:
    """The header's seconds; a date is turned into seconds from `now` (since 1970). None where there is none that makes sense."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit() and len(value) < 10:
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - now, 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
