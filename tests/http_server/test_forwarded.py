"""Tests of the client address behind a proxy, over real sockets.

The server uses the client address that a trusted proxy reports. A client behind a proxy never has
the rights of the operator.
"""

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
def proxied_server(settings: Settings) -> Iterator[Running]:
    """Run a server that trusts a proxy on this machine."""
    server = Running(
        settings.model_copy(update={"proxy": "127.0.0.1", "limit_address": "2 per minute"}),
        ColourReader(),
    )
    yield server
    server.stop()


@pytest.fixture
def direct_server(settings: Settings) -> Iterator[Running]:
    """Run a server that trusts no proxy."""
    server = Running(settings, ColourReader())
    yield server
    server.stop()


def request_status(
    server: Running, method: str, path: str, headers: dict[str, str], body: bytes | None = None
) -> int:
    """Send one request on a new connection and return the status."""
    connection = server.connect()
    connection.request(method, path, body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("name", FORWARDED)
def test_operator_route_with_a_proxy_header_is_unauthorized(
    direct_server: Running, name: str
) -> None:
    assert request_status(direct_server, "GET", "/metrics", {}) == 200
    assert request_status(direct_server, "GET", "/metrics", {name: FORWARDED[name]}) == 401


def test_trusted_proxy_without_headers_counts_as_one_remote_client(
    proxied_server: Running,
) -> None:
    """Send no proxy headers, as nginx does by default.

    Other proxies drop their headers if the client names them in the header Connection.
    """
    assert request_status(proxied_server, "GET", "/metrics", {}) == 401
    statuses = [
        request_status(proxied_server, "POST", "/predict", {"Content-Type": "image/jpeg"}, plain())
        for _ in range(3)
    ]
    assert statuses == [200, 200, 429]


def test_limits_behind_a_trusted_proxy_apply_per_client_address(proxied_server: Running) -> None:
    def post(address: str) -> int:
        return request_status(
            proxied_server,
            "POST",
            "/predict",
            {"X-Forwarded-For": address, "Content-Type": "image/jpeg"},
            plain(),
        )

    assert [post("198.51.100.1") for _ in range(3)] == [200, 200, 429]
    assert post("198.51.100.2") == 200
    # Only the last address in the header counts, because the proxy itself has added it.
    assert post("192.0.2.1, 198.51.100.1") == 429
    # The port is ignored, because a client has another one for each connection.
    assert [post(f"198.51.100.1:{port}") for port in (40_000, 40_001)] == [429, 429]
    assert [post(f"[2001:db8::{host}]:{host}") for host in (1, 2, 3)] == [200, 200, 429]
