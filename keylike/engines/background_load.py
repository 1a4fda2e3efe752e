"""Loads the model beside the server, which answers from its first moment, and lets nobody wait for a load that is given up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from keylike.errors import ModelError
from keylike.http_server.hard_exit import end_at_once


class BackgroundLoad:
    """Runs `load` in a thread of its own from entry on; there `done` follows, or `failed` after a ModelError, whose line is `failure`.

    Left while the load is under way, it ends the process at once: no library can be interrupted in the middle of a load, and Python
    itself would wait for the threads that one has started.
    """

    def __init__(
        self, load: Callable[[], None], *, done: Callable[[], None], failed: Callable[[], None]
    ) -> None:
        self._load, self._done, self._failed = load, done, failed
        self._over = threading.Event()
        self.failure: str | None = None

    def wait(self, timeout_s: float) -> None:
        """Returns when the load is over, whichever way, or after so many seconds."""
        self._over.wait(timeout_s)

    def __enter__(self) -> BackgroundLoad:
        threading.Thread(target=self._run, name="loading", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        places: TracebackType | None,
    ) -> None:
        if not self._over.is_set() and (error is None or isinstance(error, SystemExit)):
            end_at_once(error.code if error and isinstance(error.code, int) else 0)

    def _run(self) -> None:
        try:
            self._load()
            self._done()
        except ModelError as error:
            self.failure = str(error)
        finally:
            self._over.set()
        if self.failure is not None:
            self._failed()
