"""Counts responses by status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tools.benchmarks.serving.load import RequestOutcome

# A correct refusal of a busy server, as `count_responses` names it.
REFUSED = "503 with Retry-After"


def count_responses(outcomes: Sequence[RequestOutcome]) -> dict[str, int]:
    """Count responses by status, and by whether they have a Retry-After header.

    Status 0 is a broken connection.
    """
    return dict(
        Counter(
            f"{outcome.status} with Retry-After" if outcome.retry_after else str(outcome.status)
            for outcome in outcomes
        )
    )
