"""GET /health/detailed: figures and status."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

from keylike.errors import ModelError
from keylike.service import Service
from keylike.settings import Settings
from tests.api.controlled_app import ControlledApp, crash, short_of_memory
from tests.contract import check_described
from tests.fakes import ColourReader
from tools.plain_pictures import BLUE, GREEN, RED, plain


@pytest.fixture
def server(settings: Settings) -> Iterator[ControlledApp]:
    """Return an application with default settings."""
    app = ControlledApp(settings)
    yield app
    app.service.close()


def test_detailed_health_after_some_requests_returns_figures(server: ControlledApp) -> None:
    server.now += 12.5
    server.post(plain(RED))
    server.post(plain(BLUE))
    server.post(plain(RED), headers={"X-Request-Timeout": "1e-9"})
    found = server.get("/health/detailed")
    assert (found["status"], found["reasons"], found["model"], found["uptime_s"]) == (
        "healthy",
        [],
        "controlled-1.2.3",
        12.5,
    )
    assert found["counts"]["photos"] == {"read": 2, "unreadable": 1, "refused": 0, "crashed": 0}
    assert (found["counts"]["requests"], found["counts"]["rejections"], found["error_rate"]) == (
        3,
        0,
        0.0,
    )
    assert found["queue"] == {
        "waiting": 0,
        "room": 64,
        "oldest_s": 0,
        "decoding": 0,
        "reading": 0,
        "reading_s": 0,
    }
    assert (found["cache"]["hits"], found["cache"]["misses"]) == (1, 2)
    assert (
        found["cpu"]["seconds"] > 0
        and found["memory"]["rss_mb"] > 10
        and found["cpu"]["cores"] >= 1
    )


def test_detailed_health_after_crashes_is_unhealthy_until_they_expire(
    server: ControlledApp,
) -> None:
    server.reader.first = crash
    for side in range(40, 49):
        server.post(plain(RED, size=(side, 40)))
    assert server.get("/health/detailed")["error_rate"] == 1.0, "nine requests are too few to judge"
    photos = {"image": [(io.BytesIO(plain(GREEN)), "a.jpg"), (io.BytesIO(b"no picture"), "b.jpg")]}
    assert (
        server.client.post(
            "/predict/batch", data=photos, content_type="multipart/form-data"
        ).status_code
        == 200
    )
    found = server.get("/health/detailed", 503)
    assert found["status"] == "unhealthy" and "failed inside the server" in found["reasons"][0]
    assert found["error_rate"] >= 0.5
    server.now += 300
    assert server.get("/health/detailed")["error_rate"] == 0.0


def test_detailed_health_after_refusals_stays_healthy(server: ControlledApp) -> None:
    server.reader.first = short_of_memory
    for side in range(40, 60):
        server.post(plain(RED, size=(side, 40)))
    assert server.get("/health/detailed")["status"] == "healthy"


def test_detailed_health_while_draining_loading_or_degraded_says_so(
    settings: Settings, server: ControlledApp
) -> None:
    server.service.draining.set()
    assert server.get("/health/detailed", 503)["status"] == "draining"

    def fail() -> Any:
        raise ModelError("gemma/config.json is damaged")

    service = Service(settings, load=fail, spare=ColourReader)
    client = service.app.test_client()
    response = client.get("/health/detailed")
    assert (
        response.status_code,
        check_described(client, response, "/health/detailed", "get")["status"],
    ) == (503, "loading")
    service.load()
    response = client.get("/health/detailed")
    body = check_described(client, response, "/health/detailed", "get")
    assert (response.status_code, body["status"], body["reasons"]) == (
        200,
        "degraded",
        ["gemma/config.json is damaged"],
    )
