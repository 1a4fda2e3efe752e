"""Tuning of glibc's allocator: reuse memory while photos arrive, and release it when idle."""

from __future__ import annotations

import ctypes
import sys

# Options of mallopt(3). By default glibc returns the memory of every photo to the system. The
# kernel then clears 1,200 pages for the next 640x480 capture and 8,000 for a photo of 12
# megapixels, a tenth of their processor time (docs/LOG.md). With these options, freed memory stays
# until the server is idle. There is one arena, since each thread would otherwise keep its own
# memory.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_KEPT_BYTES, _MAPPED_FROM_BYTES, _ARENAS = 32 << 20, 12 << 20, 1


def tune_malloc() -> None:
    """Keep freed memory for reuse. Does nothing without glibc."""
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        for option, value in (
            (_M_TRIM_THRESHOLD, _KEPT_BYTES),
            (_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES),
            (_M_ARENA_MAX, _ARENAS),
        ):
            mallopt(option, value)


def release_free_memory() -> None:
    """Return free memory to the system."""
    malloc_trim = _glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _glibc(name: str) -> ctypes._NamedFuncPointer | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
