"""Intervals of shares, and percentiles."""

from __future__ import annotations

import math
from collections.abc import Sequence

Z_95 = 1.96


def wilson(hits: float, total: float) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, 1927)."""
    if not total:
        return 0.0, 1.0
    p, z2 = hits / total, Z_95**2
    middle, half = p + z2 / (2 * total), Z_95 * math.sqrt(p * (1 - p) / total + z2 / (4 * total**2))
    return max(0.0, (middle - half) / (1 + z2 / total)), min(
        1.0, (middle + half) / (1 + z2 / total)
    )


def clustered(rows: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """The same for cuts, given as (right, all) of each photo.

    Cuts of one photo go wrong together, so that there is less to learn from than their number says: it is divided by how much more
    the photos scatter than independent cuts would (the design effect; Kish, 1965). Where nothing scatters, photos are counted.
    """
    hits, total = sum(right for right, _ in rows), sum(each for _, each in rows)
    if not total:
        return 0.0, 1.0
    share, photos = hits / total, len(rows)
    alone = total * share * (1 - share)
    effect = total / photos
    if alone and photos > 1:
        effect = (
            sum((right - share * each) ** 2 for right, each in rows) * photos / (photos - 1) / alone
        )
    worth = total / max(1.0, effect)
    return wilson(share * worth, worth)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of them lie below, 0 to 1; 0.0 of none."""
    ordered = sorted(values) or [0.0]
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
