"""Fixtures for client tests: real servers with the colour reader, and scripted servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keylike.settings import Settings
from keylike_client import Client
from tests.clients.certificates import make_certificate
from tests.clients.scripted_server import ScriptedResponse, ScriptedServer
from tests.fakes import ColourReader
from tests.running import Running

Serve = Callable[..., Running]


@pytest.fixture
def serve(settings: Settings) -> Iterator[Serve]:
    """Return a function that starts real servers, as in `serve(reader, policy="predictions")`."""
    started: list[Running] = []

    def start(reader: ColourReader | None = None, **changes: Any) -> Running:
        started.append(Running(settings.model_copy(update=changes), reader or ColourReader()))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    """Return a function that starts scripted servers."""
    started: list[ScriptedServer] = []

    def start(*responses: ScriptedResponse, **options: Any) -> ScriptedServer:
        started.append(ScriptedServer(*responses, **options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a self-signed certificate for 127.0.0.1 and its private key."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


class FakeClock:
    """Fake clock that advances only when the client waits. It records the waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        self.on_wait: Callable[[], object] = lambda: None

    def sleep(self, seconds: float, cancelled: object) -> None:
        """Advance the clock by `seconds` without waiting."""
        self.waits.append(seconds)
        self.now += seconds
        self.on_wait()


@pytest.fixture
def clock() -> FakeClock:
    """Return a fake clock for the client."""
    return FakeClock()


@pytest.fixture
def make_client(clock: FakeClock) -> Iterator[Callable[..., Client]]:
    """Return a function that creates clients of a server, with the fake clock and no jitter."""
    clients: list[Client] = []

    def make(
        server: Running | ScriptedServer | str, token: str | None = None, **options: Any
    ) -> Client:
        address = (
            f"http://127.0.0.1:{server.server.port}" if isinstance(server, Running) else server
        )
        address = address.address if isinstance(address, ScriptedServer) else address
        clients.append(
            Client(
                address,
                token,
                **(
                    {"clock": lambda: clock.now, "sleep": clock.sleep, "jitter": lambda: 0.0}
                    | options
                ),
            )
        )
        return clients[-1]

    yield make
    for client in clients:
        client.close()
