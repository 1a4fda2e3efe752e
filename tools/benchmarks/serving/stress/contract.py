"""What a trial is given and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Terms:
    """`work`: a folder for logs; `quick`: seconds in place of minutes, and no target that a short run cannot judge; `photos` gives the
    sample photos of a size that tools.benchmarks.serving.photos knows."""

    work: Path
    quick: bool
    photos: Callable[[str], Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Figures that go into the line of JSON, and for each target whether it was met."""

    figures: dict[str, Any]
    targets: dict[str, bool]


Trial = Callable[[Terms], Outcome]
