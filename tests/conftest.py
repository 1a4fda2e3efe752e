"""Shared fixtures: settings in a temporary folder, and a service with the colour reader."""

from __future__ import annotations

import logging
import os
import signal
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
# A shell makes its background jobs ignore Ctrl-C (SIGINT), nohup makes them ignore SIGHUP, and child
# processes would inherit that. So restore the defaults if the tests run in such a job.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
NOW = 1_795_000_000.125


@pytest.fixture(autouse=True)
def isolated_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Hide the settings of the developer's environment, and close log files after the test."""
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
    """Return the default settings, with logs and tokens in a temporary folder."""
    return Settings(logs=tmp_path / "logs", tokens=tmp_path / "tokens.sqlite3")


@pytest.fixture
def model() -> Load:
    """Return a function that loads the colour reader."""
    return colour_reader


@pytest.fixture
def service(settings: Settings, model: Load) -> Iterator[Service]:
    """Yield a service with a loaded model. Its time of day is always NOW."""
    with Service(settings, load=model, wall=lambda: NOW) as service:
        service.load()
        yield service


@pytest.fixture
def app(service: Service) -> OpenAPI:
    """Return the application of that service."""
    return service.app


@pytest.fixture
def client(app: OpenAPI) -> FlaskClient:
    """Return a test client of the application, which uses no socket."""
    return app.test_client()


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Yield one Redis for all tests that do not stop it."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis_server(shared_redis: RedisServer) -> RedisServer:
    """Return the shared Redis after removing all its data."""
    with shared_redis.client() as client:
        client.flushall()
    return shared_redis


@pytest.fixture
def frail_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """Yield a Redis that is not started yet, and that the test may kill and restart."""
    server = RedisServer(tmp_path)
    yield server
    server.kill()


@pytest.fixture(scope="session")
def gemma_models(tmp_path_factory: pytest.TempPathFactory) -> GemmaModels:
    """Return a tiny Gemma, trained on a few keys, in every form that the server can load.

    It is created once for all tests, with the commands of this project.
    """
    pytest.importorskip(
        "transformers", reason="Gemma needs PyTorch and transformers: make test-gemma installs them"
    )
    return make(tmp_path_factory.mktemp("gemma"))
