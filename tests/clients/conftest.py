"""Servers for clients: the real one with the colour reader, and such as do what they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keylike.settings import Settings
from keylike_client import Client
from tests.clients.certificates import make_certificate
from tests.clients.scripted import Say, Scripted
from tests.fakes import ColourReader
from tests.running import Running

Serve = Callable[..., Running]


@pytest.fixture
def serve(settings: Settings) -> Iterator[Serve]:
    """Starts real servers: `serve(reader, policy="predictions", …)`."""
    started: list[Running] = []

    def start(reader: ColourReader | None = None, **changes: Any) -> Running:
        started.append(Running(settings.model_copy(update=changes), reader or ColourReader()))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    """Starts servers that do as they are told."""
    started: list[Scripted] = []

    def start(*answers: Say, **more: Any) -> Scripted:
        started.append(Scripted(*answers, **more))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One that signs itself, for 127.0.0.1, and its secret half."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


class Time:
    """A clock that goes on while somebody rests, and what they rested."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.naps: list[float] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def rest(self, seconds: float, given_up: object) -> None:
        """Goes on at once."""
        self.naps.append(seconds)
        self.now += seconds
        self.meanwhile()


@pytest.fixture
def time() -> Time:
    """Of the client alone."""
    return Time()


@pytest.fixture
def ask(time: Time) -> Iterator[Callable[..., Client]]:
    """Makes clients of a server, or of an address, for whom time does not really pass; chance is always 0."""
    made: list[Client] = []

    def make(server: Running | Scripted | str, token: str | None = None, **more: Any) -> Client:
        address = (
            f"http://127.0.0.1:{server.server.port}" if isinstance(server, Running) else server
        )
        address = address.address if isinstance(address, Scripted) else address
        made.append(
            Client(
                address,
                token,
                **({"clock": lambda: time.now, "rest": time.rest, "chance": lambda: 0.0} | more),
            )
        )
        return made[-1]

    yield make
    for client in made:
        client.close()
