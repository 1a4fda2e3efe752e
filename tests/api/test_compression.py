"""Tests of the compression of responses for clients that accept gzip."""

from __future__ import annotations

import gzip
import json

import pytest
from flask.testing import FlaskClient

from keylike.api.compression import SMALLEST_BYTES
from tools.plain_pictures import plain

GZIP = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.mark.parametrize(
    "path", ["/openapi.json", "/sw.js", "/web/page.js", "/docs/files/css/swagger-ui.css"]
)
def test_large_text_is_compressed_without_loss(client: FlaskClient, path: str) -> None:
    whole = client.get(path, buffered=True)
    for _ in range(2):
        small = client.get(path, headers=GZIP, buffered=True)
        assert small.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(small.data) == whole.data
        assert int(small.headers["Content-Length"]) == len(small.data) < len(whole.data) / 2
    for response in (whole, small):
        assert "Accept-Encoding" in response.headers["Vary"]
    assert "Content-Encoding" not in whole.headers


def test_reading_is_compressed(client: FlaskClient) -> None:
    response = client.post("/predict", data=plain(), content_type="image/jpeg", headers=GZIP)
    assert response.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(response.data))["bitting"] == "2,5,4,7,3"


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "br"])
def test_response_is_not_compressed_for_a_client_without_gzip(
    client: FlaskClient, accepted: str
) -> None:
    response = client.get("/openapi.json", headers={"Accept-Encoding": accepted})
    assert "Content-Encoding" not in response.headers and response.get_json()["openapi"]


def test_small_responses_and_pictures_are_not_compressed(client: FlaskClient) -> None:
    for path in ("/health/live", "/web/icons/icon-512.png"):
        response = client.get(path, headers=GZIP, buffered=True)
        assert "Content-Encoding" not in response.headers
        assert path.startswith("/web") or len(response.data) <= SMALLEST_BYTES


def test_head_request_returns_the_compressed_length_without_a_body(client: FlaskClient) -> None:
    whole = client.get("/web/page.js", headers=GZIP, buffered=True)
    head = client.head("/web/page.js", headers=GZIP, buffered=True)
    assert head.headers["Content-Length"] == whole.headers["Content-Length"]
    assert head.data == b""


def test_compressed_file_that_the_client_has_is_not_sent_again(client: FlaskClient) -> None:
    first = client.get("/web/page.js", headers=GZIP, buffered=True)
    assert first.headers["ETag"].startswith("W/")
    again = client.get(
        "/web/page.js", headers={**GZIP, "If-None-Match": first.headers["ETag"]}, buffered=True
    )
    assert (again.status_code, again.data) == (304, b"")


def test_partial_response_is_not_compressed(client: FlaskClient) -> None:
    part = client.get("/web/page.js", headers={**GZIP, "Range": "bytes=0-1999"}, buffered=True)
    assert (part.status_code, len(part.data)) == (206, 2000)
    assert "Content-Encoding" not in part.headers
