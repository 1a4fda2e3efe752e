"""Fixtures: a server with injectable faults, server processes, and Redis on a Unix socket."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keylike.settings import Settings
from tests.faults.fault_server import FaultServer
from tests.redis_server import PASSWORD
from tests.test_cli_serve import Served

COLOUR = ["-m", "tests.serve_colour"]


@pytest.fixture
def fault_server(settings: Settings) -> Iterator[FaultServer]:
    """Run a server that reads one photo at a time and queues three more, for at most 10 seconds."""
    server = FaultServer(settings.model_copy(update={"threads": 1, "queue": 3, "deadline_s": 10.0}))
    yield server
    server.stop()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Return a function that starts server processes. Kill them after the test."""
    started: list[Served] = []

    def start(command: list[str] = COLOUR, **environment: Any) -> Served:
        started.append(Served(command, tmp_path / "logs", **environment))
        return started[-1]

    yield start
    for each in started:
        with each.process as process:
            process.kill()


@pytest.fixture
def redis_socket() -> Iterator[str]:
    """Run a Redis with a password that listens only on a Unix socket. Yield its address."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    # The path of a Unix socket may have at most 107 bytes, so pytest's own folders are too long.
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/redis"
        options = ["--port", "0", "--unixsocket", path, "--dir", folder, "--save", ""]
        with subprocess.Popen(
            [binary, *options, "--requirepass", PASSWORD], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            assert any("ready to accept" in line.lower() for line in process.stdout)
            yield f"unix://:{PASSWORD}@{path}"
            process.kill()
