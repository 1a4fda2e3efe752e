"""Memory over many requests: whether it grows, and by how much for a thousand of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

MB = 1_000_000


def growth(requests: Sequence[int], used: Sequence[int]) -> float:
    """MB for each thousand requests, by the least squares through the last half of what was looked at: `used` bytes after so many
    `requests`. In the first half caches and allocators fill up, which ends."""
    half = len(requests) // 2
    return statistics.linear_regression(requests[half:], used[half:]).slope * 1000 / MB
