"""The log file, with rotation. A full disk or a missing folder does not affect the server."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from io import FileIO
from logging import LogRecord, StreamHandler
from logging.handlers import RotatingFileHandler
from pathlib import Path

_FILE_BYTES = 10_000_000
_FILES_KEPT = 5


class LogFile(RotatingFileHandler):
    """A log handler that appends whole lines to `path` and rotates to path.1, path.2 and so on.

    Lines that cannot be written are dropped without blocking. A message on the terminal marks the
    first dropped line and the first one written afterwards. A deleted file is recreated, with its
    folder. A file that cannot be rotated keeps growing until it can.

    Args:
        path: the log file.
        max_bytes: size in bytes at which the file is rotated.
        backups: number of old files.

    Raises:
        OSError: the file cannot be opened.
    """

    # Unbuffered: otherwise the rest of a failed line would precede the next one.
    stream: FileIO  # type: ignore[assignment]

    def __init__(
        self, path: Path, *, max_bytes: int = _FILE_BYTES, backups: int = _FILES_KEPT
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
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
            _say(
                f"keylike: cannot write the log ({_kind(sys.exception())}); the "
                "server continues without it"
            )
        self._lost += 1

    def _report_recovery(self) -> None:
        if self._lost:
            lost, self._lost = self._lost, 0
            _say(f"keylike: writing the log again; lines dropped: {lost}")

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
            _say("keylike: cannot rotate the log; writing to the same file")

    def _append(self, line: bytes) -> None:
        """Write the whole line or nothing."""
        before = self._size()
        if self.stream.write(line) != len(line):
            with suppress(OSError):
                self.stream.truncate(before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Terminal(StreamHandler):  # type: ignore[type-arg]
    """A handler for stderr that ignores errors of a closed terminal."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def handleError(self, record: LogRecord) -> None:
        """Do nothing, since the log file has the line."""


def _kind(error: BaseException | None) -> str:
    """Return the symbol of a system error, such as ENOSPC, or the name of the type."""
    number = error.errno if isinstance(error, OSError) else None
    return errno.errorcode.get(number or 0, type(error).__name__)


def _say(line: str) -> None:
    with suppress(OSError, ValueError, AttributeError):
        print(line, file=sys.stderr, flush=True)
