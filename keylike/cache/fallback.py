"""A store far away with one at hand beside it: work goes on while the far one is away, and comes back to it by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from structlog.stdlib import BoundLogger

from keylike.cache.stores import Store, StoreUnavailable

_Answer = TypeVar("_Answer")

_FIRST_RETRY_S = 1.0
_LAST_RETRY_S = 60.0
# A reading takes tens of milliseconds: a store that takes longer than this for an answer spares nothing.
_SLOW_S = 0.5


class Fallback:
    """Asks `far`; where that is away or slow, `near` answers, and one caller at a time tries `far` again: after 1 second, then 2, up to 60.

    `clock` counts seconds. The log has a line when `far` goes and when it is back; one that comes and goes is tried no more often.
    """

    def __init__(
        self, primary: Store, secondary: Store, *, clock: Callable[[], float], log: BoundLogger
    ) -> None:
        self._far, self._near, self._clock, self._log = primary, secondary, clock, log
        self._lock = threading.Lock()
        self._away = False
        self._delay_s = _FIRST_RETRY_S
        self._retry_at, self._back_at = 0.0, -_LAST_RETRY_S

    @property
    def backend(self) -> str:
        """The far one's, also while it is away."""
        return self._far.backend

    @property
    def degraded(self) -> bool:
        """Whether the far one was away when it was last asked."""
        return self._away

    def get(self, key: str) -> bytes | None:
        """The value, or None."""
        return self._ask(lambda store: store.get(key))

    def put(self, key: str, value: bytes) -> None:
        """Keeps a value in one of the two."""
        self._ask(lambda store: store.put(key, value))

    def count(self) -> int:
        """How many values the one that answers keeps."""
        return self._ask(lambda store: store.count())

    def _ask(self, question: Callable[[Store], _Answer]) -> _Answer:
        primary, trying = self._choose()
        if not primary:
            return question(self._near)
        began = self._clock()
        try:
            answer = question(self._far)
        except StoreUnavailable as error:
            self._gone(str(error), trying)
            return question(self._near)
        if self._clock() - began > _SLOW_S:
            self._gone("Slow", trying)
        elif trying:
            self._back()
        return answer

    def _choose(self) -> tuple[bool, bool]:
        """Whether to ask the far store, and whether that is a try; others keep to the near one while it lasts."""
        with self._lock:
            if not self._away:
                return True, False
            due = self._clock() >= self._retry_at
            if due:
                self._retry_at = self._clock() + self._delay_s
            return due, due

    def _gone(self, error: str, trying: bool) -> None:
        with self._lock:
            if self._away and not trying:
                return  # several were asking when it went, and another of them has said so
            news, now = not self._away, self._clock()
            lasted = news and now - self._back_at >= _LAST_RETRY_S
            self._delay_s = _FIRST_RETRY_S if lasted else min(2 * self._delay_s, _LAST_RETRY_S)
            self._away, self._retry_at = True, now + self._delay_s
        if news:
            self._log.warning("cache_degraded", backend=self._far.backend, error=error)

    def _back(self) -> None:
        with self._lock:
            self._away, self._back_at = False, self._clock()
        self._log.info("cache_restored", backend=self._far.backend)
