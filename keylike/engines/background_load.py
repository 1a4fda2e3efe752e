"""Loads the model while the server already answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from keylike.errors import ModelError
from keylike.http_server.hard_exit import hard_exit


class BackgroundLoad:
    """A context in which `load` runs in its own thread.

    After the load that thread calls `done`, or `failed` after a ModelError, whose text is `failure`.
    Leaving the context during a load ends the process at once: a library cannot be interrupted in the
    middle of a load, and Python would wait at exit for the threads it has started.
    """

    def __init__(
        self, load: Callable[[], None], *, done: Callable[[], None], failed: Callable[[], None]
    ) -> None:
        self._load = load
        self._done = done
        self._failed = failed
        self._over = threading.Event()
        self.failure: str | None = None

    @property
    def is_running(self) -> bool:
        """Return True until the load has ended."""
        return not self._over.is_set()

    def wait(self, timeout_s: float) -> None:
        """Return when the load has ended, or after `timeout_s` seconds."""
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
        if self.is_running and (error is None or isinstance(error, SystemExit)):
            hard_exit(error.code if error and isinstance(error.code, int) else 0)

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
