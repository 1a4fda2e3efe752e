"""What the tests of the tunnel share: the stand-in, and servers before it that are ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import until
from tests.tunnel.standin import Server, StandIn


@pytest.fixture
def standin(tmp_path: Path) -> StandIn:
    """Well behaved until told otherwise."""
    return StandIn(tmp_path / "ngrok")


@pytest.fixture
def serve(standin: StandIn, tmp_path: Path) -> Iterator[Any]:
    """Starts servers with a tunnel; afterwards no agent of theirs runs."""
    started: list[Server] = []

    def start(*command: str, **environment: str) -> Server:
        home = tmp_path / f"home{len(started)}"
        home.mkdir()
        started.append(Server(standin, home, command=command or ("--tunnel",), **environment))
        return started[-1]

    yield start
    for each in started:
        each.kill()
    until(standin.gone)
