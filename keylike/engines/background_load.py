"""Load the model in a thread, while the server already answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from keylike.errors import ModelError
from keylike.http_server.hard_exit import hard_exit


class BackgroundLoad:
    """A context manager that runs `load` in its own thread.

    The thread then calls `done`, or `failed` if `load` raised a ModelError; `failure` is then its
    text. If the context is left before `load` has finished, the process exits immediately. A
    library cannot be interrupted while it loads, and Python would wait at exit for its threads.
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
        """Return True until `load` has finished or failed."""
        return not self._over.is_set()

    def wait(self, timeout_s: float) -> None:
        """Wait until `load` has finished or failed, for at most `timeout_s` seconds."""
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
