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
        quick: True to run for seconds instead of minutes. Targets that need a long run are skipped.
        photos: Function that returns the sample photos of a size from
            `tools.benchmarks.serving.photos`.
    """

    work: Path
    quick: bool
    photos: Callable[[str], Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of a scenario for the JSON line, and for each target whether it was met."""

    figures: dict[str, Any]
    targets: dict[str, bool]


Scenario = Callable[[ScenarioOptions], Outcome]
