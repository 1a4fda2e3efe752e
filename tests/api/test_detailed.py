"""Tests of GET /health/detailed: its figures and its status."""

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


def test_detailed_health_counts_photos_requests_and_cache_hits(server: ControlledApp) -> None:
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


def test_detailed_health_is_unhealthy_for_five_minutes_after_crashes(
    server: ControlledApp,
) -> None:
    server.reader.first = crash
    for side in range(40, 49):
        server.post(plain(RED, size=(side, 40)))
    assert server.get("/health/detailed")["error_rate"] == 1.0, (
        "a high error rate of only nine requests must not make the server unhealthy"
    )
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


def test_detailed_health_stays_healthy_after_refusals(server: ControlledApp) -> None:
    server.reader.first = short_of_memory
    for side in range(40, 60):
        server.post(plain(RED, size=(side, 40)))
    assert server.get("/health/detailed")["status"] == "healthy"


def test_detailed_health_shows_draining_loading_and_degraded(
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
