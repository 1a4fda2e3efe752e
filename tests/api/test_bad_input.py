"""Tests of bad input: each kind of it gets its own JSON error, and the server continues."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.contract import check_failure
from tools.fuzzing.forms import form
from tools.plain_pictures import plain, png

JPEG = plain(size=(400, 300))
JSON = "application/json"


PICTURES: dict[str, tuple[bytes, int, str]] = {
    "empty file": (b"", 400, "no_image"),
    "text": (b"bitting 2,5,4,7,3", 415, "unsupported_image_type"),
    "HTML": (b"<!doctype html><html></html>", 415, "unsupported_image_type"),
    "PDF": (b"%PDF-1.7\n1 0 obj", 415, "unsupported_image_type"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 415, "unsupported_image_type"),
    "BMP": (plain(kind="BMP"), 415, "unsupported_image_type"),
    "TIFF": (plain(kind="TIFF"), 415, "unsupported_image_type"),
    "MP4": (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", 415, "unsupported_image_type"),
    "truncated JPEG": (JPEG[: len(JPEG) * 6 // 10], 400, "bad_image"),
    "JPEG's first bytes": (JPEG[:3], 400, "bad_image"),
    "junk after the JPEG header": (JPEG[:20] + bytes(range(256)) * 40, 400, "bad_image"),
    "truncated PNG": (plain(kind="PNG")[:60], 400, "bad_image"),
    "truncated WebP": (plain(kind="WEBP")[:-4], 400, "bad_image"),
    "truncated AVIF": (plain(kind="AVIF")[:-4], 400, "bad_image"),
    "GIF header only": (b"GIF89a", 400, "bad_image"),
    "HEIC header only": (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", 400, "bad_image"),
    "20000x20000 PNG": (png(20_000, 20_000), 413, "image_too_large"),
    "just above 50 megapixels": (png(7072, 7072), 413, "image_too_large"),
}
REQUESTS: dict[str, tuple[dict[str, Any], int, str]] = {
    "nothing": ({}, 400, "no_image"),
    "form without a file": ({"data": {"zipcode": "12345"}}, 400, "no_image"),
    "image as text": ({"data": {"image": "photo.jpg"}}, 400, "no_image"),
    "empty body": ({"data": b"", "content_type": "image/jpeg"}, 400, "no_image"),
    "broken form": (
        {"data": b"--x\r\nrubbish", "content_type": "multipart/form-data; boundary=x"},
        400,
        "bad_request",
    ),
    "form without boundary": (
        {"data": b"rubbish", "content_type": "multipart/form-data"},
        400,
        "bad_request",
    ),
    "incomplete form": (
        {**form(("image", JPEG)), "data": form(("image", JPEG))["data"][:-30]},
        400,
        "bad_request",
    ),
    "form with thousands of parts": (form(*[("x", "")] * 1001), 413, "image_too_large"),
    "plain text": ({"data": b"hello", "content_type": "text/plain"}, 415, "unsupported_image_type"),
    "zipcode with letters": (
        {"data": {"image": (io.BytesIO(JPEG), "a.jpg"), "zipcode": "12a45"}},
        400,
        "bad_zipcode",
    ),
    "zipcode too long": ({"json": {"image_data": "x", "zipcode": "123456"}}, 400, "bad_zipcode"),
    "zipcode as number": ({"json": {"image_data": "x", "zipcode": 12345}}, 400, "bad_zipcode"),
    "zipcode in other digits": (
        {"json": {"image_data": "x", "zipcode": "१२३४५"}},
        400,
        "bad_zipcode",
    ),
    "zipcode in the query": (
        {"data": JPEG, "content_type": "image/jpeg", "query_string": {"zipcode": "x"}},
        400,
        "bad_zipcode",
    ),
    "unknown command": (
        {"data": {"image": (io.BytesIO(JPEG), "a.jpg"), "command": "delete"}},
        400,
        "bad_request",
    ),
    "bad base64": ({"json": {"image_data": "not base64 at all!"}}, 400, "bad_image"),
    "base64 of text": (
        {"json": {"image_data": base64.b64encode(b"hello").decode()}},
        415,
        "unsupported_image_type",
    ),
    "no image_data": ({"json": {"zipcode": "12345"}}, 400, "no_image"),
    "image_data empty": ({"json": {"image_data": ""}}, 400, "no_image"),
    "image_data not text": ({"json": {"image_data": [1, 2]}}, 400, "bad_request"),
    "unknown format": ({"json": {"image_data": "AAAA", "format": "hex"}}, 400, "bad_request"),
    "malformed JSON": ({"data": b'{"image_data": ', "content_type": JSON}, 400, "bad_request"),
    "JSON not an object": ({"json": [1]}, 400, "bad_request"),
    "JSON with millions of elements": (
        {"data": b'{"x": [' + b"{}," * 4_000_000 + b"0]}", "content_type": JSON},
        400,
        "bad_request",
    ),
    "URL-encoded form": (
        {"data": b"a&" * 7_000_000, "content_type": "application/x-www-form-urlencoded"},
        400,
        "no_image",
    ),
    "JSON too deep": ({"data": b"[" * 200_000, "content_type": JSON}, 400, "bad_request"),
    "JSON not UTF-8": (
        {"data": b'{"image_data": "\xff\xfe"}', "content_type": JSON},
        400,
        "bad_request",
    ),
    "picture above 10 MB": (
        {"data": JPEG + bytes(10_000_000), "content_type": "image/jpeg"},
        413,
        "image_too_large",
    ),
    "body above the limit": (
        {"data": bytes(16_000_000), "content_type": "image/jpeg"},
        413,
        "image_too_large",
    ),
    "JSON above the limit": ({"json": {"image_data": "A" * 16_000_000}}, 413, "image_too_large"),
}


@pytest.mark.parametrize("case", PICTURES.values(), ids=PICTURES.keys())
def test_predict_with_a_bad_picture_fails_and_the_next_photo_is_read(
    client: FlaskClient, case: tuple[bytes, int, str]
) -> None:
    picture, status, code = case
    check_failure(client, client.post("/predict", **form(("image", picture))), status, code)
    assert client.post("/predict", **form(("image", JPEG))).status_code == 200


@pytest.mark.parametrize("case", REQUESTS.values(), ids=REQUESTS.keys())
def test_predict_with_a_bad_request_fails(
    client: FlaskClient, case: tuple[dict[str, Any], int, str]
) -> None:
    request, status, code = case
    body = check_failure(client, client.post("/predict", **request), status, code)
    assert len(body["error"]) > 10


def test_unknown_path_from_a_browser_returns_json(client: FlaskClient) -> None:
    response = client.get("/nowhere", headers={"Accept": "text/html"})
    assert (response.status_code, response.mimetype) == (404, "application/json")
    assert response.get_json()["code"] == "not_found"


def test_wrong_method_returns_405_with_an_allow_header(client: FlaskClient) -> None:
    response = client.put("/predict")
    assert (response.status_code, response.get_json()["code"]) == (405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]


def test_failure_contains_no_path_and_no_library_name(client: FlaskClient) -> None:
    for picture, _, _ in PICTURES.values():
        text = client.post("/predict", **form(("image", picture))).text
        assert not any(word in text for word in ("Traceback", "PIL", "BytesIO", ".py", "0x"))
