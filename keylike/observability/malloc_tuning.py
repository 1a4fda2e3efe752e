"""How this process holds memory: fast while photos come in, given back to the system when they no longer do."""

from __future__ import annotations

import ctypes
import sys

# mallopt(3) of glibc. Left alone it gives back what each photo took, and the kernel clears 1,200 pages for the next 640x480 capture and
# 8,000 for a photo of 12 megapixels: a tenth of their processor time (docs/LOG.md). So what is freed stays until the server is idle, and
# in one arena, since each thread would otherwise keep its own.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_KEPT_BYTES, _MAPPED_FROM_BYTES, _ARENAS = 32 << 20, 12 << 20, 1


def tune_malloc() -> None:
    """What is freed is used again; elsewhere than with glibc there is nothing to do."""
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        for option, value in (
            (_M_TRIM_THRESHOLD, _KEPT_BYTES),
            (_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES),
            (_M_ARENA_MAX, _ARENAS),
        ):
            mallopt(option, value)


def release_free_memory() -> None:
    """What is free goes back to the system."""
    malloc_trim = _glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _glibc(name: str) -> ctypes._NamedFuncPointer | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
