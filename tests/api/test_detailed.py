"""GET /health/detailed: figures, and when somebody should look after the server."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

from keylike.errors import ModelError
from keylike.service import Service
from keylike.settings import Settings
from tests.api.house import House, crash, short_of_memory
from tests.contract import check_described
from tests.fakes import ColourReader
from tools.plain_pictures import BLUE, GREEN, RED, plain


@pytest.fixture
def house(settings: Settings) -> Iterator[House]:
    """With the settings as they come."""
    made = House(settings)
    yield made
    made.service.close()


def test_detailed_health(house: House) -> None:
    house.now += 12.5
    house.post(plain(RED))
    house.post(plain(BLUE))
    house.post(plain(RED), headers={"X-Request-Timeout": "1e-9"})
    found = house.get("/health/detailed")
    assert (found["status"], found["reasons"], found["model"], found["uptime_s"]) == (
        "healthy",
        [],
        "moody-1.2.3",
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


def test_crashes_make_it_unhealthy_and_are_forgotten(house: House) -> None:
    house.reader.first = crash
    for side in range(40, 49):
        house.post(plain(RED, size=(side, 40)))
    assert house.get("/health/detailed")["error_rate"] == 1.0, "nine say nothing yet"
    photos = {"image": [(io.BytesIO(plain(GREEN)), "a.jpg"), (io.BytesIO(b"no picture"), "b.jpg")]}
    assert (
        house.client.post(
            "/predict/batch", data=photos, content_type="multipart/form-data"
        ).status_code
        == 200
    )
    found = house.get("/health/detailed", 503)
    assert found["status"] == "unhealthy" and "failed in the server itself" in found["reasons"][0]
    assert found["error_rate"] >= 0.5
    house.now += 300
    assert house.get("/health/detailed")["error_rate"] == 0.0


def test_refusals_do_not_make_it_unhealthy(house: House) -> None:
    house.reader.first = short_of_memory
    for side in range(40, 60):
        house.post(plain(RED, size=(side, 40)))
    assert house.get("/health/detailed")["status"] == "healthy"


def test_draining_loading_and_degraded(settings: Settings, house: House) -> None:
    house.service.draining.set()
    assert house.get("/health/detailed", 503)["status"] == "draining"

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
