"""Fixtures of the attacks: one server process for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.server import TargetServer, run_server


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TargetServer]:
    """Start the server once for all tests."""
    with run_server(tmp_path_factory.mktemp("target")) as target:
        target.check_reads_photo()
        yield target


@pytest.fixture(scope="module")
def server(shared_server: TargetServer) -> Iterator[TargetServer]:
    """Return the shared server after a reset of its memory counters.

    After each module, check that the server still reads photos.
    """
    shared_server.reset_memory()
    yield shared_server
    shared_server.check_reads_photo()
