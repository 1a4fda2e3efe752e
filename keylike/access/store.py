"""Where tokens are kept: a SQLite file that the command line writes while the server looks into it at every request."""

from __future__ import annotations

import hmac
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from keylike.access.tokens import (
    LENGTH,
    Tier,
    Token,
    TokenError,
    TokensUnreadable,
    checked_name,
    digest,
    new_clear,
)

_LAST_USED_EVERY_S = 60.0
_LONGEST_S = 100 * 365.25 * 86_400
_TABLE = """
CREATE TABLE IF NOT EXISTS tokens (
    name TEXT PRIMARY KEY NOT NULL,
    hash BLOB UNIQUE NOT NULL,
    tier TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL,
    last_used REAL
)
"""
_COLUMNS = "hash, name, tier, created, expires, last_used"


class TokenStore:
    """Tokens in the file `path`, which need not be there; `clock` gives seconds since 1970. Good for many threads and processes.

    Writing a token takes milliseconds: a request that finds the file held by others for `wait_s` seconds is refused and not kept waiting.
    There is one connection, behind a lock, since opening one costs several times what a look takes. The file has SQLite's own rollback
    journal and no write-ahead log, whose readers need to write beside the file: so a server may look into one on a read-only volume.
    """

    def __init__(self, path: Path, clock: Callable[[], float], *, wait_s: float = 1.0) -> None:
        self.path = path.absolute()
        self.clock = clock
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._seen: tuple[int, ...] = ()
        self._noted: dict[bytes, float] = {}

    def new(self, name: str, tier: Tier, lasts_s: float | None) -> str:
        """Stores a token, good for `lasts_s` seconds (None: for ever), and returns it in clear, for this one time.

        Raises TokenError for a bad name, one that is taken or a bad time, and TokensUnreadable where the file cannot be written.
        """
        name, clear, now = checked_name(name), new_clear(), self.clock()
        if lasts_s is not None and not 0 < lasts_s <= _LONGEST_S:
            raise TokenError("a token lasts longer than no time, and a hundred years at most")
        expires = None if lasts_s is None else now + lasts_s
        with self._held():
            connection = self._made()
            try:
                connection.execute(
                    "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, NULL)",
                    (name, digest(clear), tier.value, now, expires),
                )
            except sqlite3.IntegrityError:
                raise TokenError(f"there is a token named {name} already") from None
        return clear

    def tokens(self) -> list[Token]:
        """All of them, expired ones too, the oldest first. Raises TokensUnreadable."""
        with self._held():
            connection = self._existing()
            rows = (
                connection.execute(f"SELECT {_COLUMNS} FROM tokens ORDER BY created, name")
                if connection
                else ()
            )
            return [_token(row) for row in rows]

    def revoke(self, name: str) -> bool:
        """Takes a token away, for the next request already; False where there is none of this name. Raises TokensUnreadable."""
        try:
            name = checked_name(name)
        except TokenError:
            return False
        with self._held():
            connection = self._existing()
            return (
                connection is not None
                and connection.execute("DELETE FROM tokens WHERE name = ?", (name,)).rowcount > 0
            )

    def any(self) -> bool:
        """Whether there is a token that has not expired. Raises TokensUnreadable."""
        good = "SELECT 1 FROM tokens WHERE expires IS NULL OR expires > ? LIMIT 1"
        with self._held():
            connection = self._existing()
            return (
                connection is not None
                and connection.execute(good, (self.clock(),)).fetchone() is not None
            )

    def find(self, clear: str) -> Token | None:
        """The token that `clear` is, `last_used` being its use before this one; None for one that is unknown, revoked or expired.

        Raises TokensUnreadable.
        """
        if len(clear) != LENGTH:  # which is no secret; so a guess of megabytes costs nothing
            return None
        wanted, now = digest(clear), self.clock()
        with self._held():
            connection = self._existing()
            # The index finds by a hash that no caller can steer, so how long it looks tells nothing of any token.
            row = (
                connection.execute(
                    f"SELECT {_COLUMNS} FROM tokens WHERE hash = ?", (wanted,)
                ).fetchone()
                if connection
                else None
            )
            if connection is None or row is None:
                return None
            token = _token(row)
            if not hmac.compare_digest(row[0], wanted) or token.expired(now):
                return None
            self._note_use(connection, wanted, token.last_used, now)
            return token

    def close(self) -> None:
        """Lets the file go; the next look opens it again."""
        with self._lock:
            self._drop()

    def __del__(self) -> None:
        self._drop()

    def _note_use(
        self, connection: sqlite3.Connection, wanted: bytes, last_used: float | None, now: float
    ) -> None:
        """Writes the time of use, once a minute at most. Where it cannot be written at once, the request goes on without."""
        if any(
            then is not None and abs(now - then) < _LAST_USED_EVERY_S
            for then in (last_used, self._noted.get(wanted))
        ):
            return
        self._noted[wanted] = now
        with suppress(sqlite3.Error):
            connection.execute("PRAGMA busy_timeout = 0")
            connection.execute("UPDATE tokens SET last_used = ? WHERE hash = ?", (now, wanted))
        connection.execute(f"PRAGMA busy_timeout = {self._wait_s * 1000:.0f}")

    @contextmanager
    def _held(self) -> Iterator[None]:
        """The file is one thread's of this process. What goes wrong with it is TokensUnreadable."""
        if not self._lock.acquire(timeout=self._wait_s):
            raise TokensUnreadable("the file of tokens is locked")
        try:
            yield
        except (
            sqlite3.Error,
            OSError,
            UnicodeError,
        ) as error:  # the last where the text of the error itself is damaged
            self._drop()
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise TokensUnreadable(f"the file of tokens cannot be used: {reason}") from error
        finally:
            self._lock.release()

    def _existing(self) -> sqlite3.Connection | None:
        """The connection to the file; None where it is not there, or empty as for a moment before its first token.

        Opened again when another file was put in its place or copied over it, which SQLite itself would not notice.
        """
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            stat = None
        if stat is None or not stat.st_size:
            self._drop()
            return None
        seen = stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
        return self._connection if self._connection and self._seen == seen else self._open(seen)

    def _made(self) -> sqlite3.Connection:
        """The same, with an empty table where there was none."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            # For the owner alone; SQLite gives its journal the same mode.
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        connection = self._open(())
        connection.execute(_TABLE)
        return connection

    def _open(self, seen: tuple[int, ...]) -> sqlite3.Connection:
        self._drop()
        # For writing too where that is allowed: for times of use, and to undo what a killed process left half written. Makes no file.
        uri = f"{self.path.as_uri()}?mode=rw"
        self._connection = sqlite3.connect(
            uri, uri=True, timeout=self._wait_s, isolation_level=None, check_same_thread=False
        )
        self._seen = seen
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _token(row: tuple[Any, ...]) -> Token:
    """Raises TokensUnreadable where something else than a token was written there."""
    hashed, name, tier, *times = row
    try:
        created, expires, last_used = (None if time is None else float(time) for time in times)
        if not isinstance(hashed, bytes) or not isinstance(name, str) or created is None:
            raise TypeError
        return Token(name, Tier(tier), created, expires, last_used)
    except (TypeError, ValueError):
        raise TokensUnreadable("the file of tokens holds one that makes no sense") from None
