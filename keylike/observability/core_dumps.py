"""Prevent core dumps: they would contain photos, readings, tokens and the password of Redis."""

from __future__ import annotations

import ctypes
import sys

# The option of prctl that allows or forbids core dumps (linux/prctl.h).
_PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> None:
    """Prevent core dumps of this process and of processes that it forks.

    On Linux the resource limit is not enough, because programs that collect core dumps, such as
    systemd-coredump, ignore it. So the process is also marked as not dumpable. Other effects of
    that mark: debuggers of the same user cannot attach, and most files in /proc/PID belong to root,
    though the process can still read its own. A program that this process executes loses the mark
    but keeps the limit.
    """
    if sys.platform == "win32":
        return
    import resource  # not available on Windows

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
