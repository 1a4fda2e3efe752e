"""The log on disk: bounded by rotation, and no trouble to the server when the disk is full or the folder goes away."""

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
    """Appends whole lines to `path`, which becomes path.1, path.2 … of `most` bytes each. Raises OSError where it cannot be opened.

    What cannot be written is lost, and the terminal hears of it once, and once when lines are written again; nobody waits for it. A file
    that was taken away is made again, with its folder. One that cannot be rotated goes on growing until it can.
    """

    stream: FileIO  # type: ignore[assignment]  # unbuffered, so that nothing of a line that failed comes after it

    def __init__(self, path: Path, *, most: int = _FILE_BYTES, kept: int = _FILES_KEPT) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lost = 0
        self._rotate_at = most
        super().__init__(path, maxBytes=most, backupCount=kept, encoding="utf-8")

    def emit(self, record: LogRecord) -> None:
        """Writes a line, or counts it as lost."""
        try:
            line = self.format(record).encode() + b"\n"
            self._follow()
            if self._size() + len(line) > self._rotate_at:
                self._rotate()
            self._append(line)
        except Exception:
            self.handleError(record)
        else:
            self._well()

    def handleError(self, record: LogRecord) -> None:
        """Names the kind of error alone: the library's own would show the line itself and the message of the error."""
        if not self._lost:
            _say(
                f"keylike: the log cannot be written ({_kind(sys.exception())}); the server goes on without it"
            )
        self._lost += 1

    def _well(self) -> None:
        if self._lost:
            lost, self._lost = self._lost, 0
            _say(f"keylike: the log is written again; lines lost: {lost}")

    def _open(self) -> FileIO:  # type: ignore[override]
        return FileIO(self.baseFilename, "a")

    def _size(self) -> int:
        return os.fstat(self.stream.fileno()).st_size

    def _follow(self) -> None:
        """To the file that is now at the path: what is written to one that was deleted, nobody reads."""
        if self.stream is not None:
            try:
                there = os.stat(self.baseFilename)
            except (FileNotFoundError, NotADirectoryError):
                os.makedirs(os.path.dirname(self.baseFilename), exist_ok=True)
            except OSError:
                return
            else:
                if os.path.samestat(there, os.fstat(self.stream.fileno())):
                    return
        held, self.stream = self.stream, self._open()
        if held is not None:
            held.close()
        self._rotate_at = self.maxBytes

    def _rotate(self) -> None:
        try:
            self.doRollover()
            self._rotate_at = self.maxBytes
        except OSError:
            if self.stream is None:
                self.stream = self._open()
            # Not at each line again: an attempt that gets half way drops the oldest file.
            self._rotate_at = self._size() + self.maxBytes // 10
            _say("keylike: the log cannot be rotated; it goes on in the same file")

    def _append(self, line: bytes) -> None:
        """All of the line or nothing."""
        before = self._size()
        if self.stream.write(line) != len(line):
            with suppress(OSError):
                self.stream.truncate(before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Terminal(StreamHandler):  # type: ignore[type-arg]
    """stderr, as long as somebody listens."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def handleError(self, record: LogRecord) -> None:
        """Nobody is left to tell; the file has the line."""


def _kind(error: BaseException | None) -> str:
    """A word such as ENOSPC, or the type."""
    number = error.errno if isinstance(error, OSError) else None
    return errno.errorcode.get(number or 0, type(error).__name__)


def _say(line: str) -> None:
    with suppress(OSError, ValueError, AttributeError):
        print(line, file=sys.stderr, flush=True)
