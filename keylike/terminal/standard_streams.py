"""Handle standard streams that are closed, full or stuck."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

from keylike.observability.background_log import BackgroundHandler
from keylike.observability.log_file import write_all, write_to_terminal
from keylike.observability.redaction import hide_credentials

# Error numbers of writing to a stream that nobody reads any more, to a full disk, or to a closed
# terminal.
_UNWRITABLE = frozenset({errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF, errno.EFBIG})


@contextmanager
def tolerate_unwritable_streams() -> Iterator[None]:
    """Run a command in the `with` block, whose standard streams may be closed or unwritable.

    A command that cannot write its output exits with status 1 and without a traceback. Tracebacks
    of other exceptions are printed without credentials.
    """
    _open_closed_streams()
    sys.excepthook = _print_traceback
    threading.excepthook = lambda found: _print_traceback(
        found.exc_type, found.exc_value, found.exc_traceback
    )
    status: str | int | None = None
    try:
        yield
    except SystemExit as end:
        status = end.code
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is not None:
            raise
        status = 1
    if not _discard_unwritable_output():
        status = status or 1
    if status:
        sys.exit(status)


def _print_traceback(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    """Print the traceback of an unexpected exception without credentials.

    Messages of libraries may contain addresses, such as that of Redis with its password.
    """
    write_to_terminal(hide_credentials("".join(traceback.format_exception(kind, error, trace))))


def _open_closed_streams() -> None:
    """Open the null device in place of closed standard streams.

    Otherwise the next opened file or connection would get the descriptor of a standard stream, and
    libraries would print into it.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            # os.open returns the lowest free descriptor, which is the missing one.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))


def _discard_unwritable_output() -> bool:
    """Flush stdout and stderr, and discard output that cannot be written.

    Otherwise Python would try to write it again at exit, print a traceback and change the exit
    status.

    Returns:
        False if output was discarded.
    """
    written = True
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            written = False
            with suppress(OSError, ValueError):
                descriptor = os.open(os.devnull, os.O_WRONLY)
                os.dup2(descriptor, stream.fileno())
                os.close(descriptor)
                stream.flush()
    return written


class BackgroundStream(io.TextIOBase):
    """A text stream that never blocks, because a background thread writes its text to stdout.

    Text that stdout does not accept is dropped.
    """

    def __init__(self) -> None:
        self._handler = BackgroundHandler(_Stdout())

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of stdout."""
        return sys.stdout.encoding

    def isatty(self) -> bool:
        """Return True if stdout is a terminal."""
        return sys.stdout.isatty()

    def fileno(self) -> int:
        """Return the descriptor of stdout."""
        return sys.stdout.fileno()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Queue the text."""
        self._handler.enqueue(logging.LogRecord("stdout", 0, "", 0, text, None, None))
        return len(text)

    def close(self) -> None:
        """Write the waiting text. Give up if stdout is stuck."""
        self._handler.close()
        super().close()


class _Stdout(logging.Handler):
    """A handler that writes messages to stdout without Python's buffer."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        text = record.getMessage()
        try:
            descriptor = sys.stdout.fileno()
        except (OSError, ValueError):
            # stdout is an object without a file descriptor, as in tests.
            sys.stdout.write(text)
            return
        with suppress(OSError):
            write_all(descriptor, text.encode(sys.stdout.encoding, errors="replace"))
