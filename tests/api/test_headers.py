"""Tests of response headers: CORS, content security policy, caching and HSTS."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from keylike.service import Load, create_app
from keylike.settings import Settings
from tools.plain_pictures import plain

APP = "https://app.example.org"
PAGES = {"Accept": "text/html"}


def serve(settings: Settings, model: Load, **changes: Any) -> FlaskClient:
    """Return a client of an application with changed settings."""
    return create_app(settings.model_copy(update=changes), load=model).test_client()


def test_cors_by_default_allows_every_origin_without_credentials(
    client: FlaskClient,
) -> None:
    for origin in (APP, "null", "http://localhost:3000"):
        answer = client.post(
            "/predict", data=plain(), content_type="image/jpeg", headers={"Origin": origin}
        )
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/health/detailed", "/v1/health/detailed"])
@pytest.mark.parametrize("origins", ["*", APP])
def test_detailed_health_is_not_readable_by_other_origins(
    settings: Settings, model: Load, path: str, origins: str
) -> None:
    client = serve(settings, model, origins=origins)
    for method in ("GET", "OPTIONS"):
        answer = client.open(path, method=method, headers={"Origin": APP})
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
    answer = client.get("/health", headers={"Origin": APP})
    assert "Access-Control-Allow-Origin" in answer.headers


def test_cors_with_configured_origins_allows_only_them_with_credentials(
    settings: Settings, model: Load
) -> None:
    client = serve(settings, model, origins=f"{APP}, http://localhost:3000")
    for origin in (APP, "http://localhost:3000"):
        answer = client.get("/health", headers={"Origin": origin})
        # With credentials, browsers require the exact origin. Then Vary must tell caches that the
        # response depends on it.
        assert (
            answer.headers["Access-Control-Allow-Origin"],
            answer.headers["Access-Control-Allow-Credentials"],
        ) == (origin, "true")
        assert "Origin" in answer.headers["Vary"]
    for stranger in (
        "https://evil.example",
        f"{APP}.evil.example",
        "https://app.example.org:8443",
        "http://app.example.org",
        "null",
    ):
        answer = client.get("/health", headers={"Origin": stranger})
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    "header",
    [
        "content-type",
        "x-api-key",
        "authorization",
        "cache-control",
        "x-request-timeout",
        "api-version",
        "ngrok-skip-browser-warning",
    ],
)
def test_preflight_allows_each_request_header(settings: Settings, model: Load, header: str) -> None:
    preflight = {
        "Origin": APP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": header,
    }
    for origins in ("*", APP):
        answer = serve(settings, model, origins=origins).options("/", headers=preflight)
        assert (
            answer.status_code == 200
            and header in answer.headers["Access-Control-Allow-Headers"].lower()
        )
        assert (
            "POST" in answer.headers["Access-Control-Allow-Methods"]
            and answer.headers["Access-Control-Max-Age"] == "86400"
        )


def test_preflight_for_a_private_network_is_not_allowed(client: FlaskClient) -> None:
    preflight = {
        "Origin": APP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Private-Network": "true",
    }
    assert client.options("/", headers=preflight).headers.get(
        "Access-Control-Allow-Private-Network"
    ) in (None, "false")


@pytest.mark.parametrize(
    "path",
    ["/", "/health", "/predict", "/nothing", "/openapi.json", "/web/page.js", "/docs", "/metrics"],
)
def test_every_response_has_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path, buffered=True).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert (headers["X-Frame-Options"], headers["Referrer-Policy"]) == ("DENY", "no-referrer")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in headers


def test_readings_and_refusals_are_not_stored_by_caches(client: FlaskClient) -> None:
    for data in (plain(), b"no picture"):
        assert (
            client.post("/predict", data=data, content_type="image/jpeg").headers["Cache-Control"]
            == "no-store"
        )


def test_pages_load_only_files_of_this_server(client: FlaskClient) -> None:
    for path in ("/", "/docs"):
        page = client.get(path, headers=PAGES, buffered=True)
        policy = dict(
            part.strip().split(" ", 1)
            for part in page.headers["Content-Security-Policy"].split(";")
        )
        assert (policy["default-src"], policy["script-src"], policy["connect-src"]) == (
            "'none'",
            "'self'",
            "'self'",
        )
        # The policy would block inline scripts, styles and handlers, and files of other servers.
        assert not re.search(
            r"<script(?![^>]*\bsrc=\"[a-z])|<style|\son\w+=|\sstyle=|javascript:|https?://",
            page.text,
        )
    assert (
        "unsafe"
        not in client.get("/", headers=PAGES, buffered=True).headers["Content-Security-Policy"]
    )
    assert (
        client.get("/").headers["Content-Security-Policy"]
        == "default-src 'none'; frame-ancestors 'none'"
    )


def test_service_worker_may_fetch_only_from_this_server(client: FlaskClient) -> None:
    policy = client.get("/sw.js").headers["Content-Security-Policy"]
    assert policy == "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"


def test_hsts_header_is_sent_only_for_https_through_a_configured_proxy(
    settings: Settings, model: Load
) -> None:
    client = serve(settings, model, proxy="127.0.0.1")
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
    assert (
        client.get("/health", headers=forwarded).headers["Strict-Transport-Security"]
        == "max-age=31536000"
    )
    assert "Strict-Transport-Security" not in client.get("/health").headers
    stranger = {"REMOTE_ADDR": "203.0.113.7"}
    assert (
        "Strict-Transport-Security"
        not in client.get("/health", headers=forwarded, environ_base=stranger).headers
    )


def test_clients_of_a_local_proxy_are_not_operators(settings: Settings, model: Load) -> None:
    client = serve(settings, model, proxy="127.0.0.1")
    for claimed in ("127.0.0.1", "::1", "203.0.113.7, 127.0.0.1", "", "127.0.0.1, 127.0.0.1"):
        assert client.get("/metrics", headers={"X-Forwarded-For": claimed}).status_code == 401
    # A request without proxy headers is not local either: some proxies send none, and a client can
    # make others drop them by naming them in the header Connection.
    assert client.get("/metrics").status_code == 401
    assert serve(settings, model, proxy="10.0.0.1").get("/metrics").status_code == 200
