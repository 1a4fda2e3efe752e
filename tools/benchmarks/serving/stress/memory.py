"""Trend of a server's memory over many requests."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

MB = 1_000_000


def growth_per_1000(requests: Sequence[int], used: Sequence[int]) -> float:
    """Return the growth in MB per thousand requests.

    The trend is a least-squares fit through the second half of the samples. In the first half,
    caches and allocators still fill up.

    Args:
        requests: Number of requests before each sample.
        used: Memory in bytes at each sample.
    """
    half = len(requests) // 2
    return statistics.linear_regression(requests[half:], used[half:]).slope * 1000 / MB
