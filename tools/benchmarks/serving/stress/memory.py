"""Computes the growth of a server's memory over many requests."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

MB = 1_000_000


def growth_per_1000(requests: Sequence[int], used: Sequence[int]) -> float:
    """Return the growth in MB per thousand requests.

    It is the slope of a least-squares line through the second half of the measurements. In the
    first half, memory also grows because caches fill up.

    Args:
        requests: Number of requests before each measurement.
        used: Memory in bytes at each measurement.
    """
    half = len(requests) // 2
    return statistics.linear_regression(requests[half:], used[half:]).slope * 1000 / MB
