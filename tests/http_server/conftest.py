"""Fixtures: a server whose clock the test sets, and a reader that the test can block."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keylike.settings import Settings
from tests.running import PatientReader, Running


@pytest.fixture
def reader() -> PatientReader:
    """Return a reader that reads at once, but waits while a test has cleared `allowed`."""
    made = PatientReader()
    made.allowed.set()
    return made


@pytest.fixture
def running(settings: Settings, reader: PatientReader) -> Iterator[Running]:
    """Run a server that measures time with `now`, in seconds, which the test sets."""
    server = Running(settings, reader)
    yield server
    reader.allowed.set()
    server.stop()
