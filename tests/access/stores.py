"""Helpers for tests of the token store: a clock that the test sets, and a store that is closed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from keylike.access.store import TokenStore

NOW = 1_795_000_000.0


class Clock:
    """A clock whose time, `now`, changes only when a test sets it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """Return the time in seconds since 1970."""
        return self.now


@contextmanager
def opened(
    path: Path | None = None, clock: Callable[[], float] = lambda: NOW, *, wait_s: float = 1.0
) -> Iterator[TokenStore]:
    """Open the token store at `path`, by default in a temporary folder, and close it on exit."""
    with tempfile.TemporaryDirectory() as folder:
        store = TokenStore(path or Path(folder) / "tokens.sqlite3", clock, wait_s=wait_s)
        try:
            yield store
        finally:
            store.close()
