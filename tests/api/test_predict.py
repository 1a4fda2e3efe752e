"""A photo in, its code out: the three ways to send it, and each field of the answer."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import NOW
from tests.contract import check_described, check_failure
from tools.plain_pictures import BLUE, GREEN, RED, plain

PACKED = base64.b64encode(plain()).decode()
UNPADDED = base64.urlsafe_b64encode(plain()).decode().rstrip("=")
WAYS: dict[str, dict[str, Any]] = {
    "json": {"json": {"image_data": PACKED, "zipcode": "12345", "format": "base64"}},
    "json, data URL": {
        "json": {"image_data": f"data:image/jpeg;base64,{PACKED}", "zipcode": "12345"}
    },
    "json, lines": {
        "json": {
            "image_data": "\n".join(PACKED[at : at + 76] for at in range(0, len(PACKED), 76)),
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
    """What the phone app sends."""
    return {"data": {"image": (io.BytesIO(picture), "keyway_image.jpg"), **fields}}


@pytest.mark.parametrize("path", ["/", "/predict"])
def test_form_as_the_phone_sends_it(client: FlaskClient, path: str) -> None:
    response = client.post(
        path,
        **form(plain(), command="predict", zipcode="12345"),
        headers={"ngrok-skip-browser-warning": "true"},
    )
    body = check_described(client, response, path, "post")
    assert response.status_code == 200
    assert (body["bitting"], body["keyway"], body["zipcode"]) == ("2,5,4,7,3", "SC1", "12345")


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_the_other_ways(client: FlaskClient, way: dict[str, Any]) -> None:
    response = client.post("/predict", **way)
    body = check_described(client, response, "/predict", "post")
    assert (response.status_code, body["bitting"], body["zipcode"]) == (200, "2,5,4,7,3", "12345")


def test_each_field_of_the_answer(client: FlaskClient) -> None:
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
    assert body["cuts"][0] == {"position": 1, "depth": 2, "probability": 0.95, "depth_mm": 7.738}
    assert body["alternatives"] == [{"bitting": "2,5,4,6,3", "probability": 0.15}]
    assert (
        body["quality"]["px_per_mm"],
        body["quality"]["tilt_deg"],
        body["quality"]["worn_cuts"],
    ) == (20.0, None, [4])


def test_the_answer_depends_on_the_picture(client: FlaskClient) -> None:
    assert client.post("/", **form(plain(GREEN))).get_json()["bitting"] == "1,1,1,1,1"


def test_no_key_gets_a_reason_and_advice_and_no_code(client: FlaskClient) -> None:
    body = check_failure(client, client.post("/predict", **form(plain(BLUE))), 422, "unreadable")
    assert body["reason"] == "not_a_key"
    assert body["advice"] == "Lay one key flat on a plain ground."
    assert "bitting" not in body and "alternatives" not in body


def test_request_ids_differ_and_are_in_the_header(client: FlaskClient) -> None:
    first, second = (client.post("/", **form(plain())) for _ in range(2))
    assert first.get_json()["request_id"] != second.get_json()["request_id"]
    assert first.headers["X-Request-Id"] == first.get_json()["request_id"]
