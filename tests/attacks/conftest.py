"""One server for all attacks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.server import Attacked, serving


@pytest.fixture(scope="session")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """Started once."""
    with serving(tmp_path_factory.mktemp("attacked")) as attacked:
        attacked.good()
        yield attacked


@pytest.fixture(scope="module")
def server(one_server: Attacked) -> Iterator[Attacked]:
    """The same, its memory counted from here."""
    one_server.calm()
    yield one_server
    one_server.good()
