"""Invented comparison results, and stub servers for short comparisons."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from tools.benchmarks.serving.figures import LoadFigures, OverloadFigures
from tools.benchmarks.serving.results import (
    BaselineResult,
    ComparisonResults,
    Measurement,
    RunInfo,
    SingleClientResult,
)
from tools.benchmarks.serving.servers import BENTOML, GUIDE, KEYLIKE, LITSERVE, ServerSpec

SIZES = ("640x480", "12 MP")
NAMES = (KEYLIKE, GUIDE, LITSERVE, BENTOML)
FIGURES = LoadFigures(16, 100, 50.0, 20.0, 40.0, 60.0, 22.0, 1.0, 100.0, {})
OVERLOAD_FIGURES = OverloadFigures(
    60.0, 180.0, 20.0, 3600, 1200, 57.0, 1500.0, 2400, 5.0, 30.0, {}, 120.0, 2.0
)


def stub_spec(name: str = KEYLIKE, status: int = 200) -> ServerSpec:
    """Return the specification of a stub server that responds to every request with `status`."""
    command = ("-m", "tests.tools.benchmarks.stub_server", "{port}", str(status))
    return ServerSpec(name, f"setup of {name}", Path(sys.executable), None, command)


def fake_results() -> ComparisonResults:
    """Return invented results that meet every target, exactly or better.

    They have two rounds with four servers, at one number of clients.
    """
    per_s = {KEYLIKE: 50.0, GUIDE: 25.0, LITSERVE: 45.0, BENTOML: 40.0}
    memory = {KEYLIKE: 100.0, GUIDE: 400.0, LITSERVE: 250.0, BENTOML: 300.0}
    measurements = [
        Measurement(number, name, size, replace(FIGURES, per_s=per_s[name], memory_mb=memory[name]))
        for number in range(2)
        for name in NAMES
        for size in SIZES
    ]
    baselines = [BaselineResult(number, size, 55.0, 20.0) for number in range(2) for size in SIZES]
    setup = {name: f"setup of {name}" for name in NAMES}
    run_info = RunInfo(
        "2 cores", "2026-11-21", "make bench", 8.0, 2, dict.fromkeys(NAMES, "1.0"), setup
    )
    return ComparisonResults(
        run_info,
        measurements,
        baselines,
        {KEYLIKE: OVERLOAD_FIGURES},
        SingleClientResult([30.0, 33.0, 36.0], [29.0, 31.0, 40.0]),
    )
