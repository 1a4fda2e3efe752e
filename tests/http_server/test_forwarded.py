"""Whom a request comes from, over a real socket: what a proxy says reaches the application, and makes nobody the operator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keylike.settings import Settings
from tests.fakes import ColourReader
from tests.running import Running
from tools.plain_pictures import plain

FORWARDED = {
    "X-Forwarded-For": "198.51.100.213",
    "Forwarded": "for=198.51.100.213",
    "X-Forwarded-Host": "a.example",
    "X-Forwarded-Proto": "https",
    "X-Real-IP": "198.51.100.213",
    "CF-Connecting-IP": "198.51.100.213",
    "Via": "1.1 proxy",
}


@pytest.fixture
def running(settings: Settings) -> Iterator[Running]:
    """A server that believes a proxy on this machine."""
    server = Running(
        settings.model_copy(update={"proxy": "127.0.0.1", "limit_address": "2 per minute"}),
        ColourReader(),
    )
    yield server
    server.stop()


@pytest.fixture
def unaware(settings: Settings) -> Iterator[Running]:
    """One that was told of none."""
    server = Running(settings, ColourReader())
    yield server
    server.stop()


def ask(
    server: Running, method: str, path: str, headers: dict[str, str], body: bytes | None = None
) -> int:
    """The status of one request."""
    connection = server.connect()
    connection.request(method, path, body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("name", FORWARDED)
def test_whoever_comes_through_a_proxy_is_not_the_operator(unaware: Running, name: str) -> None:
    assert ask(unaware, "GET", "/metrics", {}) == 200
    assert ask(unaware, "GET", "/metrics", {name: FORWARDED[name]}) == 401


def test_a_named_proxy_that_says_nothing_brings_no_operator_and_no_end_of_photos(
    running: Running,
) -> None:
    """As nginx does unless it is told otherwise, and others when the caller's Connection names the proxy's own headers."""
    assert ask(running, "GET", "/metrics", {}) == 401
    photos = [
        ask(running, "POST", "/predict", {"Content-Type": "image/jpeg"}, plain()) for _ in range(3)
    ]
    assert photos == [200, 200, 429]


def test_limits_are_of_whom_a_named_proxy_speaks_for(running: Running) -> None:
    def post(address: str) -> int:
        return ask(
            running,
            "POST",
            "/predict",
            {"X-Forwarded-For": address, "Content-Type": "image/jpeg"},
            plain(),
        )

    assert [post("198.51.100.1") for _ in range(3)] == [200, 200, 429]
    assert post("198.51.100.2") == 200
    # Only what the proxy itself added counts.
    assert post("192.0.2.1, 198.51.100.1") == 429
    # And not its port, which a caller changes with each connection.
    assert [post(f"198.51.100.1:{port}") for port in (40_000, 40_001)] == [429, 429]
    assert [post(f"[2001:db8::{host}]:{host}") for host in (1, 2, 3)] == [200, 200, 429]
