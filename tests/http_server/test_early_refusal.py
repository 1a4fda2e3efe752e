"""Tests of requests that are refused by their headers, before a large body is read."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from keylike.access.failed_attempts import MAX_FAILURES
from keylike.access.store import TokenStore
from keylike.access.tokens import Tier, generate_secret
from keylike.settings import Settings
from tests.running import PatientReader, Running
from tools.plain_pictures import plain

TOKEN = "s3cret-token-of-the-settings"
LARGE = 5_000_000


@pytest.fixture
def run(settings: Settings) -> Iterator[Callable[..., Running]]:
    """Return a function that runs servers whose photo routes require a token."""
    started: list[Running] = []

    def start(**changes: Any) -> Running:
        reader = PatientReader()
        reader.allowed.set()
        changes = {"api_key": SecretStr(TOKEN), "policy": "predictions", **changes}
        started.append(Running(settings.model_copy(update=changes), reader))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def ask(running: Running, *headers: str, path: str = "/predict", body: bytes = b"") -> Any:
    """Send the headers of a large request and only the first bytes of its body.

    Returns the status, the JSON body and the headers of the response.
    """
    with socket.create_connection(("127.0.0.1", running.server.port), timeout=20) as raw:
        lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: image/jpeg", *headers]
        raw.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        response = http.client.HTTPResponse(raw)
        response.begin()
        answer = response.status, json.loads(response.read()), response.headers
        raw.shutdown(socket.SHUT_WR)
        return answer


@pytest.mark.parametrize(
    "path",
    ["/", "/predict", "/v1/predict", "/predict/batch", "//predict", "/%2F/predict/batch"],
)
@pytest.mark.parametrize(
    "length",
    [f"Content-Length: {LARGE}", "Transfer-Encoding: chunked"],
    ids=["known length", "chunks"],
)
def test_large_request_without_a_token_is_refused_before_its_body(
    run: Callable[..., Running], length: str, path: str
) -> None:
    running = run()
    status, body, headers = ask(running, length, path=path)
    assert (status, body["code"], headers["Connection"]) == (401, "unauthorized", "close")
    assert running.server.body_budget.available == running.service.settings.max_bodies


def test_client_that_waits_for_100_continue_gets_401(run: Callable[..., Running]) -> None:
    status, _, _ = ask(run(), f"Content-Length: {LARGE}", "Expect: 100-continue")
    assert status == 401


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ("*", "https://app.example", "*"),
        ("https://app.example", "https://app.example", "https://app.example"),
        ("https://app.example", "https://other.example", None),
        ("*", None, "*"),
    ],
)
def test_page_of_an_allowed_origin_can_read_an_early_refusal(
    run: Callable[..., Running], origins: str, origin: str | None, allowed: str | None
) -> None:
    more = [f"Origin: {origin}"] if origin else []
    status, _, headers = ask(run(origins=origins), f"Content-Length: {LARGE}", *more)
    assert (status, headers["Access-Control-Allow-Origin"]) == (401, allowed)
    exposed = headers["Access-Control-Expose-Headers"] or ""
    assert ("X-Request-Id" in exposed) is (allowed is not None)


@pytest.mark.parametrize(
    "token",
    ["wrong", generate_secret(), TOKEN.upper()],
    ids=["short", "well formed", "wrong case"],
)
def test_large_request_with_a_wrong_token_is_refused_before_its_body(
    run: Callable[..., Running], token: str
) -> None:
    assert ask(run(), f"Content-Length: {LARGE}", f"X-API-Key: {token}")[0] == 401


def test_client_that_sends_its_whole_body_can_read_the_401(run: Callable[..., Running]) -> None:
    running = run()
    connection = running.connect()
    connection.request("POST", "/", bytes(LARGE), {"Content-Type": "image/jpeg"})
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["code"]) == (401, "unauthorized")
    connection.close()


@pytest.mark.parametrize("kind", ["setting", "stored"])
def test_large_request_with_a_valid_token_is_read(
    run: Callable[..., Running], tmp_path: Path, kind: str
) -> None:
    store = TokenStore(tmp_path / "tokens.sqlite3", lambda: 0.0)
    stored = store.new("stored", Tier.FREE, None)
    store.close()
    running = run(tokens=tmp_path / "tokens.sqlite3")
    photo = plain(size=(40, 40)) + bytes(200_000)
    connection = running.connect()
    token = TOKEN if kind == "setting" else stored
    headers = {"Content-Type": "image/jpeg", "Authorization": f"Bearer {token}"}
    connection.request("POST", "/", photo, headers)
    assert connection.getresponse().status == 200
    connection.close()


def test_large_request_to_an_open_server_is_read(run: Callable[..., Running]) -> None:
    running = run(api_key=None, policy="open")
    connection = running.connect()
    connection.request("POST", "/", plain() + bytes(200_000), {"Content-Type": "image/jpeg"})
    assert connection.getresponse().status == 200
    connection.close()


def test_wrong_tokens_of_large_requests_are_counted_and_limited(
    run: Callable[..., Running],
) -> None:
    running = run(limits="on")
    length = f"Content-Length: {LARGE}"
    statuses = {ask(running, length, f"X-API-Key: guess-{n}")[0] for n in range(MAX_FAILURES + 1)}
    assert statuses == {401}
    status, body, headers = ask(running, length, "X-API-Key: one more")
    assert (status, body["code"]) == (429, "rate_limited") and int(headers["Retry-After"]) >= 1
    text = running.service.metrics.text().decode()
    assert 'keylike_rejections_total{reason="unauthorized"} 21.0' in text
    assert 'keylike_failed_authentications_total{outcome="limited"} 1.0' in text
