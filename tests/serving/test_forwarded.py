"""Whom a request comes from, over a real socket: what a proxy says reaches the application, and makes nobody the operator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from config import Settings
from tests.fakes import ColourReader
from tests.pictures import plain
from tests.serving.running import Running

FORWARDED = {"X-Forwarded-For": "198.51.100.213", "Forwarded": "for=198.51.100.213", "X-Forwarded-Host": "a.example", "Via": "1.1 proxy"}


@pytest.fixture
def running(settings: Settings) -> Iterator[Running]:
    """A server that believes a proxy on this machine."""
    server = Running(settings.model_copy(update={"proxy": "127.0.0.1", "limit_address": "2 per minute"}), ColourReader())
    yield server
    server.stop()


def ask(server: Running, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> int:
    """The status of one request."""
    connection = server.connect()
    connection.request(method, path, body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("name", FORWARDED)
def test_whoever_comes_through_a_proxy_is_not_the_operator(running: Running, name: str) -> None:
    assert ask(running, "GET", "/metrics", {}) == 200
    assert ask(running, "GET", "/metrics", {name: FORWARDED[name]}) == 401


def test_limits_are_of_whom_a_named_proxy_speaks_for(running: Running) -> None:
    def post(address: str) -> int:
        return ask(running, "POST", "/predict", {"X-Forwarded-For": address, "Content-Type": "image/jpeg"}, plain())

    assert [post("198.51.100.1") for _ in range(3)] == [200, 200, 429]
    assert post("198.51.100.2") == 200
    # Only what the proxy itself added counts.
    assert post("192.0.2.1, 198.51.100.1") == 429
