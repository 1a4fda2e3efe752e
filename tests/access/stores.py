"""A store of tokens that is closed again, and a clock for it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from keylike.access.store import TokenStore

NOW = 1_795_000_000.0


class Clock:
    """Stands still at `now`."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """Seconds since 1970."""
        return self.now


@contextmanager
def opened(
    path: Path | None = None, clock: Callable[[], float] = lambda: NOW, *, wait_s: float = 1.0
) -> Iterator[TokenStore]:
    """The store at `path`, or at one of its own."""
    with tempfile.TemporaryDirectory() as folder:
        store = TokenStore(path or Path(folder) / "tokens.sqlite3", clock, wait_s=wait_s)
        try:
            yield store
        finally:
            store.close()
