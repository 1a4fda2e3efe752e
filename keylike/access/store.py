"""The SQLite file of tokens. The command line writes it; the server reads it for each request."""

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
    digest,
    generate_secret,
    normalize_name,
)

# The time of last use of a token is written at most once in this many seconds.
_RECORD_USE_EVERY_S = 60.0
_MAX_LIFETIME_S = 100 * 365.25 * 86_400
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
    """A store of tokens, safe for use by several threads and processes.

    Writing a token locks the file for a few milliseconds. If the file stays locked for `wait_s`
    seconds, a method raises TokensUnreadable instead of waiting longer.

    All threads share one connection, since opening one takes several times as long as a query. The
    file uses a rollback journal. With a write-ahead log, readers would have to write files next to
    it, which a read-only volume does not allow.

    Args:
        path: the file, which need not exist.
        clock: returns seconds since 1970.
        wait_s: longest wait for a locked file.
    """

    def __init__(self, path: Path, clock: Callable[[], float], *, wait_s: float = 1.0) -> None:
        self.path = path.absolute()
        self.clock = clock
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file_id: tuple[int, ...] = ()
        self._recorded_uses: dict[bytes, float] = {}

    def new(self, name: str, tier: Tier, lifetime_s: float | None) -> str:
        """Store a new token, and return it in plain text. It cannot be read again later.

        Args:
            name: unique name.
            tier: tier of the token.
            lifetime_s: seconds until it expires, or None for never.

        Raises:
            TokenError: the name is invalid or in use, or the lifetime is invalid.
            TokensUnreadable: the file cannot be written.
        """
        name, secret, now = normalize_name(name), generate_secret(), self.clock()
        if lifetime_s is not None and not 0 < lifetime_s <= _MAX_LIFETIME_S:
            raise TokenError(
                "the lifetime of a token must be positive, and at most a hundred years"
            )
        expires = None if lifetime_s is None else now + lifetime_s
        with self._locked():
            connection = self._connect_or_create()
            try:
                connection.execute(
                    "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, NULL)",
                    (name, digest(secret), tier.value, now, expires),
                )
            except sqlite3.IntegrityError:
                raise TokenError(f"a token named {name} already exists") from None
        return secret

    def tokens(self) -> list[Token]:
        """Return all tokens, even expired ones, oldest first.

        Raises:
            TokensUnreadable: The file cannot be read.
        """
        with self._locked():
            connection = self._connect_existing()
            rows = (
                connection.execute(f"SELECT {_COLUMNS} FROM tokens ORDER BY created, name")
                if connection
                else ()
            )
            return [_token(row) for row in rows]

    def revoke(self, name: str) -> bool:
        """Delete a token. The next request with it is refused.

        Returns:
            False if there is no token with this name.

        Raises:
            TokensUnreadable: The file cannot be written.
        """
        try:
            name = normalize_name(name)
        except TokenError:
            return False
        with self._locked():
            connection = self._connect_existing()
            return (
                connection is not None
                and connection.execute("DELETE FROM tokens WHERE name = ?", (name,)).rowcount > 0
            )

    def any(self) -> bool:
        """Return True if a token exists that has not expired.

        Raises:
            TokensUnreadable: The file cannot be read.
        """
        query = "SELECT 1 FROM tokens WHERE expires IS NULL OR expires > ? LIMIT 1"
        with self._locked():
            connection = self._connect_existing()
            return (
                connection is not None
                and connection.execute(query, (self.clock(),)).fetchone() is not None
            )

    def find(self, secret: str) -> Token | None:
        """Return the valid token that matches `secret`, or None.

        Its `last_used` is the time of the previous use.

        Raises:
            TokensUnreadable: The file cannot be read.
        """
        # Rejects very long texts without hashing them. The length of a token is not a secret.
        if len(secret) != LENGTH:
            return None
        hashed, now = digest(secret), self.clock()
        with self._locked():
            connection = self._connect_existing()
            # Clients cannot choose the hash, so the time of the index lookup reveals nothing.
            row = (
                connection.execute(
                    f"SELECT {_COLUMNS} FROM tokens WHERE hash = ?", (hashed,)
                ).fetchone()
                if connection
                else None
            )
            if connection is None or row is None:
                return None
            token = _token(row)
            if not hmac.compare_digest(row[0], hashed) or token.expired(now):
                return None
            self._record_use(connection, hashed, token.last_used, now)
            return token

    def may_contain(self, secret: str) -> bool:
        """Return False if `secret` is certainly not a token of this store.

        This never waits and changes nothing. It returns True if the file cannot be read now.
        """
        if len(secret) != LENGTH:
            return False
        if not self._lock.acquire(blocking=False):
            return True
        try:
            connection = self._connect_existing()
            if connection is None:
                return False
            connection.execute("PRAGMA busy_timeout = 0")
            found = connection.execute("SELECT 1 FROM tokens WHERE hash = ?", (digest(secret),))
            known = found.fetchone() is not None
            connection.execute(f"PRAGMA busy_timeout = {self._wait_s * 1000:.0f}")
            return known
        except (sqlite3.Error, OSError, UnicodeError):
            self._disconnect()
            return True
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the file; the next query opens it again."""
        with self._lock:
            self._disconnect()

    def __del__(self) -> None:
        self._disconnect()

    def _record_use(
        self, connection: sqlite3.Connection, hashed: bytes, last_used: float | None, now: float
    ) -> None:
        """Record the time of use, at most once a minute.

        This never waits for a lock. If the time cannot be written, it is skipped.
        """
        if any(
            then is not None and abs(now - then) < _RECORD_USE_EVERY_S
            for then in (last_used, self._recorded_uses.get(hashed))
        ):
            return
        self._recorded_uses[hashed] = now
        with suppress(sqlite3.Error):
            connection.execute("PRAGMA busy_timeout = 0")
            connection.execute("UPDATE tokens SET last_used = ? WHERE hash = ?", (now, hashed))
        connection.execute(f"PRAGMA busy_timeout = {self._wait_s * 1000:.0f}")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock on the connection.

        Raises:
            TokensUnreadable: The lock was not free within `wait_s`, or the file cannot be used.
        """
        if not self._lock.acquire(timeout=self._wait_s):
            raise TokensUnreadable("the token file is locked")
        try:
            yield
        except (
            sqlite3.Error,
            OSError,
            UnicodeError,
        ) as error:  # UnicodeError: the text of SQLite's own error message may be damaged.
            self._disconnect()
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise TokensUnreadable(f"the token file cannot be used: {reason}") from error
        finally:
            self._lock.release()

    def _connect_existing(self) -> sqlite3.Connection | None:
        """Return the connection to the file, or None if the file is missing or empty.

        The file is empty between its creation and its first token. The connection is reopened if
        another file has replaced the first one, which SQLite does not notice.
        """
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            stat = None
        if stat is None or not stat.st_size:
            self._disconnect()
            return None
        file_id = stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
        return (
            self._connection
            if self._connection and self._file_id == file_id
            else self._open(file_id)
        )

    def _connect_or_create(self) -> sqlite3.Connection:
        """Return the connection to the file, and create the file and its table if necessary."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            # Accessible to the owner only; SQLite gives its journal the same mode.
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        connection = self._open(())
        connection.execute(_TABLE)
        return connection

    def _open(self, file_id: tuple[int, ...]) -> sqlite3.Connection:
        self._disconnect()
        # Mode rw opens the file for writing if this is permitted: to record times of use, and to
        # roll back the unfinished write of a killed process. It does not create the file.
        uri = f"{self.path.as_uri()}?mode=rw"
        self._connection = sqlite3.connect(
            uri, uri=True, timeout=self._wait_s, isolation_level=None, check_same_thread=False
        )
        self._file_id = file_id
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _token(row: tuple[Any, ...]) -> Token:
    """Return the token in a row.

    Raises:
        TokensUnreadable: The row is not a token.
    """
    hashed, name, tier, *times = row
    try:
        created, expires, last_used = (None if time is None else float(time) for time in times)
        if not isinstance(hashed, bytes) or not isinstance(name, str) or created is None:
            raise TypeError
        return Token(name, Tier(tier), created, expires, last_used)
    except (TypeError, ValueError):
        raise TokensUnreadable("the token file contains an invalid row") from None
