"""Made-up races, and little servers that take part in short ones."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from tools.benchmarks.serving.figures import Overload, Together
from tools.benchmarks.serving.results import About, Alone, Limit, Measured, Race
from tools.benchmarks.serving.servers import BENTOML, GUIDE, KEYLIKE, LITSERVE, Contender

SIZES = ("640x480", "12 MP")
NAMES = (KEYLIKE, GUIDE, LITSERVE, BENTOML)
GOT = Together(16, 100, 50.0, 20.0, 40.0, 60.0, 22.0, 1.0, 100.0, {})
OVERLOAD = Overload(60.0, 180.0, 20.0, 3600, 1200, 57.0, 1500.0, 2400, 5.0, 30.0, {}, 120.0, 2.0)


def contender(name: str = KEYLIKE, status: int = 200) -> Contender:
    """A little server that answers that status to everything."""
    command = ("-m", "tests.tools.benchmarks.little_server", "{port}", str(status))
    return Contender(name, f"how {name} is run", Path(sys.executable), None, command)


def race() -> Race:
    """Two rounds of four contenders, one number of callers, everything as good as its target asks for."""
    per_s = {KEYLIKE: 50.0, GUIDE: 25.0, LITSERVE: 45.0, BENTOML: 40.0}
    memory = {KEYLIKE: 100.0, GUIDE: 400.0, LITSERVE: 250.0, BENTOML: 300.0}
    measured = [
        Measured(number, name, size, replace(GOT, per_s=per_s[name], memory_mb=memory[name]))
        for number in range(2)
        for name in NAMES
        for size in SIZES
    ]
    limits = [Limit(number, size, 55.0, 20.0) for number in range(2) for size in SIZES]
    how = {name: f"how {name} is run" for name in NAMES}
    about = About("2 cores", "2026-11-21", "make bench", 8.0, 2, dict.fromkeys(NAMES, "1.0"), how)
    return Race(
        about, measured, limits, {KEYLIKE: OVERLOAD}, Alone([30.0, 33.0, 36.0], [29.0, 31.0, 40.0])
    )
