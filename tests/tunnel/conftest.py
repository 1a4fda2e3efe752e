"""Fixtures of the tunnel tests: a fake ngrok agent, and servers that use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import until
from tests.tunnel.standin import Server, StandIn


@pytest.fixture
def standin(tmp_path: Path) -> StandIn:
    """Return a fake ngrok agent that works without failures."""
    return StandIn(tmp_path / "ngrok")


@pytest.fixture
def serve(standin: StandIn, tmp_path: Path) -> Iterator[Any]:
    """Return a function that starts servers with a tunnel. Check that no agent is left running."""
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
