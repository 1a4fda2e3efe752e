"""Gives the memory of large pictures back to the system when they are done with."""

from __future__ import annotations

import ctypes
import sys

# mallopt(3) of glibc: blocks from this size on are mapped one by one. Left alone, glibc raises its own bound to 32 MB after the
# first large picture and then keeps the fragments: an idle server of 70 MB stayed at 350 MB after a dozen large photos.
_M_MMAP_THRESHOLD = -3
_THRESHOLD_BYTES = 8_000_000


def return_large_blocks() -> None:
    """Makes large blocks of this process go back when they are freed; elsewhere than with glibc there is nothing to do."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES)
