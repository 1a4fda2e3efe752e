"""A store that uses a second store while the first one is unreachable or slow."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from structlog.stdlib import BoundLogger

from keylike.cache.stores import Store, StoreUnavailable

_Answer = TypeVar("_Answer")

# Shortest and longest delay in seconds before the primary is tried again. It doubles each time.
_FIRST_RETRY_S = 1.0
_LAST_RETRY_S = 60.0
# Seconds after which a response counts as slow. Computing a reading takes only tens of
# milliseconds, so a slower store saves no time.
_SLOW_S = 0.5


class Fallback:
    """A store that uses the secondary store while the primary one is unreachable or slow.

    The next request after 1 second tries the primary again, then after 2 seconds, 4, and so on up
    to 60. Other requests use the secondary during the try. If the primary fails again within 60
    seconds of its return, the delay goes on growing.

    Args:
        primary: The configured store.
        secondary: A store that cannot fail.
        clock: Returns monotonic seconds.
        log: Receives one line when the primary becomes unavailable and one when it is back.
    """

    def __init__(
        self, primary: Store, secondary: Store, *, clock: Callable[[], float], log: BoundLogger
    ) -> None:
        self._primary = primary
        self._secondary = secondary
        self._clock = clock
        self._log = log
        self._lock = threading.Lock()
        self._unavailable = False
        self._delay_s = _FIRST_RETRY_S
        self._retry_at = 0.0
        self._restored_at = -_LAST_RETRY_S

    @property
    def backend(self) -> str:
        """The primary's name, even while the secondary is in use."""
        return self._primary.backend

    @property
    def degraded(self) -> bool:
        """True if the primary was unreachable or slow when it was last used."""
        return self._unavailable

    def get(self, key: str) -> bytes | None:
        """Return the value, or None."""
        return self._ask(lambda store: store.get(key))

    def put(self, key: str, value: bytes) -> None:
        """Store a value in the store that is in use."""
        self._ask(lambda store: store.put(key, value))

    def count(self) -> int:
        """Return the number of values in the store that is in use."""
        return self._ask(lambda store: store.count())

    def _ask(self, question: Callable[[Store], _Answer]) -> _Answer:
        use_primary, probing = self._choose()
        if not use_primary:
            return question(self._secondary)
        began = self._clock()
        try:
            answer = question(self._primary)
        except StoreUnavailable as error:
            self._mark_unavailable(str(error), probing)
            return question(self._secondary)
        if self._clock() - began > _SLOW_S:
            self._mark_unavailable("Slow", probing)
        elif probing:
            self._mark_restored()
        return answer

    def _choose(self) -> tuple[bool, bool]:
        """Return whether to use the primary store, and whether this request probes it after a failure."""
        with self._lock:
            if not self._unavailable:
                return True, False
            due = self._clock() >= self._retry_at
            if due:
                # Other requests use the secondary during this try.
                self._retry_at = self._clock() + self._delay_s
            return due, due

    def _mark_unavailable(self, error: str, probing: bool) -> None:
        with self._lock:
            if self._unavailable and not probing:
                return  # a concurrent request has already reported it
            changed = not self._unavailable
            now = self._clock()
            was_stable = changed and now - self._restored_at >= _LAST_RETRY_S
            self._delay_s = _FIRST_RETRY_S if was_stable else min(2 * self._delay_s, _LAST_RETRY_S)
            self._unavailable = True
            self._retry_at = now + self._delay_s
        if changed:
            self._log.warning("cache_degraded", backend=self._primary.backend, error=error)

    def _mark_restored(self) -> None:
        with self._lock:
            self._unavailable = False
            self._restored_at = self._clock()
        self._log.info("cache_restored", backend=self._primary.backend)
