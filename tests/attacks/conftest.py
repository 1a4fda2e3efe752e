"""Fixtures: one server for all attacks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.server import TargetServer, run_server


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TargetServer]:
    """Start the server once per session."""
    with run_server(tmp_path_factory.mktemp("target")) as target:
        target.check_reads_photo()
        yield target


@pytest.fixture(scope="module")
def server(shared_server: TargetServer) -> Iterator[TargetServer]:
    """Return the shared server with its memory counters reset; check it after the module."""
    shared_server.reset_memory()
    yield shared_server
    shared_server.check_reads_photo()
