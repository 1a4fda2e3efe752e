"""Configure glibc's memory allocator: reuse freed memory under load, and release it when idle."""

from __future__ import annotations

import ctypes
import sys

# Options of mallopt(3), and their values: keep up to 32 MiB of freed memory, use mmap only from 12
# MiB on, and use one arena. By default, glibc returns the memory of every photo to the system. For
# the next photo the kernel must then clear 1,200 pages (a capture of 640x480) or 8,000 pages (12
# megapixels), which takes a tenth of the processor time of the photo (docs/LOG.md). With several
# arenas, each thread would keep freed memory of its own.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_KEPT_BYTES, _MAPPED_FROM_BYTES, _ARENAS = 32 << 20, 12 << 20, 1


def tune_malloc() -> None:
    """Make glibc keep freed memory for reuse. Without glibc this has no effect."""
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        for option, value in (
            (_M_TRIM_THRESHOLD, _KEPT_BYTES),
            (_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES),
            (_M_ARENA_MAX, _ARENAS),
        ):
            mallopt(option, value)


def release_free_memory() -> None:
    """Return freed memory to the system. Without glibc this has no effect."""
    malloc_trim = _glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _glibc(name: str) -> ctypes._NamedFuncPointer | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
