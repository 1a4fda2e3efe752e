"""Tests of POST /predict: the three ways to send a photo, and each field of the response."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import NOW
from tests.contract import check_described, check_failure
from tools.plain_pictures import BLUE, GREEN, RED, plain

BASE64 = base64.b64encode(plain()).decode()
UNPADDED = base64.urlsafe_b64encode(plain()).decode().rstrip("=")
ENCODINGS: dict[str, dict[str, Any]] = {
    "json": {"json": {"image_data": BASE64, "zipcode": "12345", "format": "base64"}},
    "json, data URL": {
        "json": {"image_data": f"data:image/jpeg;base64,{BASE64}", "zipcode": "12345"}
    },
    "json, lines": {
        "json": {
            "image_data": "\n".join(BASE64[at : at + 76] for at in range(0, len(BASE64), 76)),
            "zipcode": "12345",
        }
    },
    "json, URL-safe": {"json": {"image_data": UNPADDED, "zipcode": "12345"}},
    "raw": {"data": plain(), "content_type": "image/jpeg", "query_string": {"zipcode": "12345"}},
    "raw, wrong type": {
        "data": plain(),
        "content_type": "image/png",
        "query_string": {"zipcode": "12345"},
    },
    "octets": {
        "data": plain(),
        "content_type": "application/octet-stream",
        "query_string": {"zipcode": "12345"},
    },
}


def form(picture: bytes, **fields: str) -> dict[str, Any]:
    """Return the form that the phone app sends."""
    return {"data": {"image": (io.BytesIO(picture), "keyway_image.jpg"), **fields}}


@pytest.mark.parametrize("path", ["/", "/predict", "/predict/cached"])
def test_predict_with_the_phone_app_form_reads_the_key(client: FlaskClient, path: str) -> None:
    response = client.post(
        path,
        **form(plain(), command="predict", zipcode="12345"),
        headers={"ngrok-skip-browser-warning": "true"},
    )
    body = check_described(client, response, path, "post")
    assert response.status_code == 200
    assert (body["bitting"], body["keyway"], body["zipcode"]) == ("2,5,4,7,3", "SC1", "12345")


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_predict_with_json_or_raw_bytes_reads_the_key(
    client: FlaskClient, encoding: dict[str, Any]
) -> None:
    response = client.post("/predict", **encoding)
    body = check_described(client, response, "/predict", "post")
    assert (response.status_code, body["bitting"], body["zipcode"]) == (200, "2,5,4,7,3", "12345")


def test_predict_returns_every_field(client: FlaskClient) -> None:
    body = client.post("/", **form(plain(RED))).get_json()
    assert {name: type(value) for name, value in body.items()} == {
        "success": bool,
        "request_id": str,
        "keyway": str,
        "bitting": str,
        "brand": str,
        "confidence": float,
        "estimatedAnnualProduction": int,
        "manufacturingComplexity": int,
        "marketPenetration": float,
        "timeInMarket": float,
        "pinCount": int,
        "materialType": str,
        "securityRating": str,
        "model_used": str,
        "zipcode": str,
        "timestamp": int,
        "api_version": str,
        "cuts": list,
        "alternatives": list,
        "geometry": type(None),
        "quality": dict,
        "calibrated": bool,
        "assessment": dict,
        "cached": bool,
        "processing_ms": float,
    }
    assert (body["success"], body["brand"], body["pinCount"]) == (True, "Schlage", 5)
    assert (body["confidence"], body["model_used"], body["zipcode"]) == (
        0.8,
        "colour-1.0.0",
        "00000",
    )
    assert (body["timestamp"], body["api_version"], body["cached"]) == (
        round(NOW * 1e3),
        "2.0.0",
        False,
    )
    assert body["cuts"][0] == {
        "position": 1,
        "depth": 2,
        "probability": 0.95,
        "depth_mm": 7.74,
        "height_in": 0.305,
    }
    assert body["alternatives"] == [{"bitting": "2,5,4,6,3", "probability": 0.15}]
    assert (
        body["quality"]["px_per_mm"],
        body["quality"]["tilt_deg"],
        body["quality"]["worn_cuts"],
    ) == (20.0, None, [4])


def test_predict_with_another_picture_returns_another_code(client: FlaskClient) -> None:
    assert client.post("/", **form(plain(GREEN))).get_json()["bitting"] == "1,1,1,1,1"


def test_predict_without_a_key_returns_reason_and_advice_and_no_code(client: FlaskClient) -> None:
    body = check_failure(client, client.post("/predict", **form(plain(BLUE))), 422, "unreadable")
    assert body["reason"] == "not_a_key"
    assert body["advice"] == "Lay one key flat on a plain surface."
    assert "bitting" not in body and "alternatives" not in body


def test_request_id_is_unique_and_in_the_header(client: FlaskClient) -> None:
    first, second = (client.post("/", **form(plain())) for _ in range(2))
    assert first.get_json()["request_id"] != second.get_json()["request_id"]
    assert first.headers["X-Request-Id"] == first.get_json()["request_id"]


def test_predict_cached_returns_cached_and_processing_time_in_seconds(client: FlaskClient) -> None:
    first, second = (
        check_described(
            client, client.post("/predict/cached", **form(plain())), "/predict/cached", "post"
        )
        for _ in range(2)
    )
    assert (first["cached"], second["cached"]) == (False, True)
    assert first["processing_time"] == pytest.approx(first["processing_ms"] / 1e3, abs=1e-4)
    plain_fields = client.post("/predict", **form(plain())).get_json().keys()
    assert set(first) - set(plain_fields) == {"processing_time"}


def test_predict_cached_without_a_key_fails_as_predict_does(client: FlaskClient) -> None:
    response = client.post("/predict/cached", **form(plain(BLUE)))
    body = check_described(client, response, "/predict/cached", "post")
    assert (response.status_code, body["code"]) == (422, "unreadable")
