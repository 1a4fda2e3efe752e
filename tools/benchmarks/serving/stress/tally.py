"""How many were answered how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tools.benchmarks.serving.load import Shot

# A truthful no.
TOLD = "503 with Retry-After"


def tally(shots: Sequence[Shot]) -> dict[str, int]:
    """By status, 0 where the connection broke; apart from the others those who are told when to come back."""
    return dict(
        Counter(
            f"{shot.status} with Retry-After" if shot.retry_after else str(shot.status)
            for shot in shots
        )
    )
