"""Exit the process without the cleanup of the Python interpreter."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

# Signals that stop the server. SIGHUP does not exist on Windows.
STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)
)


def hard_exit(status: int) -> NoReturn:
    """Flush the standard streams and exit with `status`, without waiting for threads.

    It is needed because a library call in a thread cannot be interrupted. With a normal exit,
    threads inside onnxruntime or OpenCV can abort the process during the interpreter's cleanup.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    os._exit(status)
