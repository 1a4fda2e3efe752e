"""Interface of a stress scenario."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ScenarioOptions:
    """Options of a scenario.

    Attributes:
        work: Folder for logs.
        quick: Run for seconds in place of minutes, without targets that need a long run.
        photos: Function that returns the sample photos of a size from
            `tools.benchmarks.serving.photos`.
    """

    work: Path
    quick: bool
    photos: Callable[[str], Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Figures for the JSON line, and whether each target was met."""

    figures: dict[str, Any]
    targets: dict[str, bool]


Scenario = Callable[[ScenarioOptions], Outcome]
