"""Fixtures: a server with a paused clock and a reader that a test can hold back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keylike.settings import Settings
from tests.running import PatientReader, Running


@pytest.fixture
def reader() -> PatientReader:
    """Return a reader that reads at once until a test clears `allowed`."""
    made = PatientReader()
    made.allowed.set()
    return made


@pytest.fixture
def running(settings: Settings, reader: PatientReader) -> Iterator[Running]:
    """Run a server whose connections are timed by `now`."""
    server = Running(settings, reader)
    yield server
    reader.allowed.set()
    server.stop()
