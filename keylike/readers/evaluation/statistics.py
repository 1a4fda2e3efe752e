"""Compute confidence intervals of shares, and percentiles."""

from __future__ import annotations

import math
from collections.abc import Sequence

Z_95 = 1.96


def wilson(hits: float, total: float) -> tuple[float, float]:
    """Return the 95 % confidence interval of the share `hits` / `total` (Wilson, 1927)."""
    if not total:
        return 0.0, 1.0
    p, z2 = hits / total, Z_95**2
    centre, half = p + z2 / (2 * total), Z_95 * math.sqrt(p * (1 - p) / total + z2 / (4 * total**2))
    return max(0.0, (centre - half) / (1 + z2 / total)), min(
        1.0, (centre + half) / (1 + z2 / total)
    )


def clustered(rows: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Return the 95 % confidence interval of the share of correct cuts.

    Cuts of one photo tend to be wrong together, so the effective sample size is smaller than the
    number of cuts. That number is divided by the design effect (Kish, 1965): the variance between
    photos relative to that of independent cuts. If all cuts are correct or all are wrong, the
    sample size is the number of photos.

    Args:
        rows: For each photo, the number of correct cuts and of all cuts.
    """
    hits, total = sum(right for right, _ in rows), sum(count for _, count in rows)
    if not total:
        return 0.0, 1.0
    share, photos = hits / total, len(rows)
    independent_variance = total * share * (1 - share)
    effect = total / photos
    if independent_variance and photos > 1:
        effect = (
            sum((right - share * count) ** 2 for right, count in rows)
            * photos
            / (photos - 1)
            / independent_variance
        )
    effective_size = total / max(1.0, effect)
    return wilson(share * effective_size, effective_size)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a `share` (0 to 1) of the values lies; 0.0 without values."""
    ordered = sorted(values) or [0.0]
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
