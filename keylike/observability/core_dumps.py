"""No core dumps: they would contain photos, readings, tokens and the password of Redis."""

from __future__ import annotations

import ctypes
import sys

# linux/prctl.h
_PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> None:
    """Keep this process, and those it forks, from writing core dumps.

    The limit alone is not enough on Linux: a program that collects core dumps, such as
    systemd-coredump, gets them whatever the limit. Debuggers of the same user cannot attach either,
    and most of /proc/PID belongs to root. The process itself can still read its own files there.
    Another program that it executes is dumpable again and keeps the limit.
    """
    if sys.platform == "win32":
        return
    import resource  # not available on Windows

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
