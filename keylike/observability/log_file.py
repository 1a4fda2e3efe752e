"""Log handlers for a rotating file and for the terminal. Their errors do not affect the server."""

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

# Size in bytes at which the file is rotated, and number of old files that are kept.
_FILE_BYTES = 10_000_000
_FILES_KEPT = 5


def write_to_terminal(text: str) -> None:
    """Write to stderr directly, without Python's buffer.

    Errors are ignored, for example if stderr is closed or its disk is full. A thread that blocks
    here holds no lock, so the process can still exit.
    """
    try:
        descriptor = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        # stderr is missing, or it is an object without a file descriptor, as in tests.
        with suppress(AttributeError, OSError, ValueError):
            sys.stderr.write(text)
        return
    with suppress(OSError):
        write_all(descriptor, text.encode(errors="replace"))


def write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes, and wait if the descriptor does not accept them yet.

    Raises:
        OSError: The bytes cannot be written.
    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


class LogFile(RotatingFileHandler):
    """A log handler that appends whole lines to `path` and rotates it to path.1, path.2 and so on.

    Lines that cannot be written are dropped. A message on the terminal reports the first dropped
    line, and another one when writing works again. If the file or its folder was deleted, it is
    created again. If the file cannot be rotated, it grows until it can.

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

    # Unbuffered. A buffer would keep the rest of a line that failed, and write it before the next.
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
        """Count a dropped line, and print the type of the error for the first one.

        The method of the base class would print the log line and the message of the error.
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
        """Reopen the file if it was deleted, or if another file is at its path now."""
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
            # Do not try again before every line, because a failed rotation may delete the oldest
            # file.
            self._rotate_at = self._size() + self.maxBytes // 10
            self._say("keylike: cannot rotate the log; writing to the same file")

    def _append(self, line: bytes) -> None:
        """Write a whole line, or nothing.

        Raises:
            OSError: The line could not be written.
        """
        before = self._size()
        if self.stream.write(line) != len(line):
            with suppress(OSError):
                self.stream.truncate(before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Terminal(logging.Handler):
    """A log handler for stderr. It ignores errors, because the log file contains the line too."""

    def emit(self, record: LogRecord) -> None:
        """Write one line."""
        write_to_terminal(self.format(record) + "\n")


def _kind(error: BaseException | None) -> str:
    """Return the symbol of a system error, such as ENOSPC, or the name of the exception's type."""
    number = error.errno if isinstance(error, OSError) else None
    return errno.errorcode.get(number or 0, type(error).__name__)
