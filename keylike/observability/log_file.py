"""The log file, with rotation, and the terminal. Faults of either do not affect the server."""

from __future__ import annotations

import errno
import logging
import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from logging import LogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path

_FILE_BYTES = 10_000_000
_FILES_KEPT = 5


def write_to_terminal(text: str) -> None:
    """Write to stderr without Python's buffer; ignore a closed or full one.

    A thread that is stuck in this function holds no lock that the end of the process needs.
    """
    try:
        descriptor = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        # A substitute without a descriptor, as in tests.
        with suppress(AttributeError, OSError, ValueError):
            sys.stderr.write(text)
        return
    with suppress(OSError):
        write_all(descriptor, text.encode(errors="replace"))


def write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes, waiting if necessary. Raises OSError."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


class LogFile(RotatingFileHandler):
    """A log handler that appends whole lines to `path` and rotates to path.1, path.2 and so on.

    Lines that cannot be written are dropped without blocking. A message on the terminal marks the
    first dropped line and the first one written afterwards. A deleted file is recreated, with its
    folder. A file that cannot be rotated keeps growing until it can.

    Attributes:
        dropped: lines dropped so far.

    Args:
        path: the log file.
        max_bytes: size in bytes at which the file is rotated.
        backups: number of old files.
        say: prints a line on the terminal.

    Raises:
        OSError: the file cannot be opened.
    """

    # Unbuffered: otherwise the rest of a failed line would precede the next one.
    stream: FileIO  # type: ignore[assignment]

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int = _FILE_BYTES,
        backups: int = _FILES_KEPT,
        say: Callable[[str], None] = lambda line: write_to_terminal(line + "\n"),
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.dropped = 0
        self._say = say
        self._lost = 0
        self._rotate_at = max_bytes
        super().__init__(path, maxBytes=max_bytes, backupCount=backups, encoding="utf-8")

    def emit(self, record: LogRecord) -> None:
        """Write one line, or count it as dropped."""
        try:
            line = self.format(record).encode() + b"\n"
            self._reopen_if_replaced()
            if self._size() + len(line) > self._rotate_at:
                self._rotate()
            self._append(line)
        except Exception:
            self.handleError(record)
        else:
            self._report_recovery()

    def handleError(self, record: LogRecord) -> None:
        """Print only the type of the error.

        The standard handler would print the log line and the message of the error.
        """
        if not self._lost:
            self._say(
                f"keylike: cannot write the log ({_kind(sys.exception())}); the "
                "server continues without it"
            )
        self._lost += 1
        self.dropped += 1

    def _report_recovery(self) -> None:
        if self._lost:
            lost, self._lost = self._lost, 0
            self._say(f"keylike: writing the log again; lines dropped: {lost}")

    def _open(self) -> FileIO:  # type: ignore[override]
        return FileIO(self.baseFilename, "a")

    def _size(self) -> int:
        return os.fstat(self.stream.fileno()).st_size

    def _reopen_if_replaced(self) -> None:
        """Reopen the file if the path no longer leads to it; nobody reads a deleted file."""
        if self.stream is not None:
            try:
                current = os.stat(self.baseFilename)
            except (FileNotFoundError, NotADirectoryError):
                os.makedirs(os.path.dirname(self.baseFilename), exist_ok=True)
            except OSError:
                return
            else:
                if os.path.samestat(current, os.fstat(self.stream.fileno())):
                    return
        old, self.stream = self.stream, self._open()
        if old is not None:
            old.close()
        self._rotate_at = self.maxBytes

    def _rotate(self) -> None:
        try:
            self.doRollover()
            self._rotate_at = self.maxBytes
        except OSError:
            if self.stream is None:
                self.stream = self._open()
            # Do not retry before every line: a failed attempt may delete the oldest file.
            self._rotate_at = self._size() + self.maxBytes // 10
            self._say("keylike: cannot rotate the log; writing to the same file")

    def _append(self, line: bytes) -> None:
        """Write the whole line or nothing."""
        before = self._size()
        if self.stream.write(line) != len(line):
            with suppress(OSError):
                self.stream.truncate(before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Terminal(logging.Handler):
    """A handler for stderr that ignores errors of a closed terminal, since the log file has the line."""

    def emit(self, record: LogRecord) -> None:
        """Write one line."""
        write_to_terminal(self.format(record) + "\n")


def _kind(error: BaseException | None) -> str:
    """Return the symbol of a system error, such as ENOSPC, or the name of the type."""
    number = error.errno if isinstance(error, OSError) else None
    return errno.errorcode.get(number or 0, type(error).__name__)
