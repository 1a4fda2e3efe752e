"""What all tests share: settings that point to a temporary folder, and an application with the colour reader."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI

from keylike.images.libraries import configure_image_libraries
from keylike.service import Load, Service
from keylike.settings import Settings
from tests.fakes import colour_reader
from tests.gemma_models import GemmaModels, make
from tests.redis_server import RedisServer

configure_image_libraries()
NOW = 1_795_000_000.125


@pytest.fixture(autouse=True)
def nobodys_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Keeps the settings of whoever runs the tests out of them, and closes the log files afterwards."""
    for name in list(os.environ):
        if (
            name.startswith("KEYLIKE_")
            or name.startswith("OTEL_")
            or name in ("MODEL_PATH", "NGROK_TOKEN")
        ):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    yield
    logging.captureWarnings(False)
    for name in ("keylike", "waitress", "opentelemetry", "py.warnings"):
        for handler in list(logging.getLogger(name).handlers):
            logging.getLogger(name).removeHandler(handler)
            handler.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The defaults, with logs and tokens in a temporary folder."""
    return Settings(logs=tmp_path / "logs", tokens=tmp_path / "tokens.sqlite3")


@pytest.fixture
def model() -> Load:
    """Return a function that loads the colour reader."""
    return colour_reader


@pytest.fixture
def service(settings: Settings, model: Load) -> Iterator[Service]:
    """Yield a loaded service whose time of day stands still."""
    with Service(settings, load=model, wall=lambda: NOW) as service:
        service.load()
        yield service


@pytest.fixture
def app(service: Service) -> OpenAPI:
    """Return the application of that service."""
    return service.app


@pytest.fixture
def client(app: OpenAPI) -> FlaskClient:
    """Asks the application without a socket."""
    return app.test_client()


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for all tests that need no more of it than to be there."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis_server(shared_redis: RedisServer) -> RedisServer:
    """That one, empty."""
    with shared_redis.client() as client:
        client.flushall()
    return shared_redis


@pytest.fixture
def frail_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """One that the test may kill and start again; it is not started yet."""
    server = RedisServer(tmp_path)
    yield server
    server.kill()


@pytest.fixture(scope="session")
def gemma_models(tmp_path_factory: pytest.TempPathFactory) -> GemmaModels:
    """A tiny Gemma that was really taught a handful of keys, in every form that is served; made once, by the project's own commands."""
    pytest.importorskip(
        "transformers", reason="Gemma needs PyTorch and transformers: make test-gemma installs them"
    )
    return make(tmp_path_factory.mktemp("gemma"))
