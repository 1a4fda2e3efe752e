"""A bench for each test, and processes that do not outlive it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keylike.settings import Settings
from tests.faults.bench import Bench
from tests.test_cli_serve import Served

COLOUR = ["-m", "tests.serve_colour"]


@pytest.fixture
def bench(settings: Settings) -> Iterator[Bench]:
    """One photo is read, three may wait, for ten seconds of the bench's time."""
    made = Bench(settings.model_copy(update={"threads": 1, "queue": 3, "deadline_s": 10.0}))
    yield made
    made.stop()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts server processes with the colour reader, and kills what a test leaves running."""
    started: list[Served] = []

    def start(command: list[str] = COLOUR, **environment: Any) -> Served:
        started.append(Served(command, tmp_path / "logs", **environment))
        return started[-1]

    yield start
    for each in started:
        with each.process as process:
            process.kill()
