"""Tests of the query parameter `fields`, which selects the fields of the response."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from keylike.api.schemas import SELECTABLE
from tests.contract import check_described, check_failure
from tools.fuzzing.forms import form
from tools.plain_pictures import RED, plain

# The fields that every response has, because phone apps depend on them.
ALWAYS = [
    "success",
    "request_id",
    "keyway",
    "bitting",
    "brand",
    "confidence",
    "estimatedAnnualProduction",
    "manufacturingComplexity",
    "marketPenetration",
    "timeInMarket",
    "pinCount",
    "materialType",
    "securityRating",
    "model_used",
    "zipcode",
    "timestamp",
    "api_version",
]
PHOTO = {"data": plain(), "content_type": "image/jpeg"}


@pytest.mark.parametrize(
    ("query", "added"),
    [
        ("fields=bitting", []),
        ("fields=bitting,confidence,cuts", ["cuts"]),
        ("fields=quality,%20cuts,", ["cuts", "quality"]),
        ("fields=cached&fields=cuts", ["cuts", "cached"]),
        ("fields=", list(SELECTABLE)),
        ("", list(SELECTABLE)),
    ],
)
def test_response_has_the_fixed_fields_and_the_selected_ones(
    client: FlaskClient, query: str, added: list[str]
) -> None:
    response = client.post(f"/predict?{query}", **PHOTO)
    assert response.status_code == 200
    assert list(check_described(client, response, "/predict", "post")) == [*ALWAYS, *added]


def test_smallest_response_is_below_1000_bytes(client: FlaskClient) -> None:
    assert len(client.post("/?fields=bitting", **PHOTO).data) < 1000


def test_fields_are_also_selected_in_cached_and_batch_responses(client: FlaskClient) -> None:
    cached = client.post("/predict/cached?fields=bitting", **PHOTO)
    body = check_described(client, cached, "/predict/cached", "post")
    assert list(body) == [*ALWAYS, "processing_time"]
    photos = form(("image", plain(RED)), ("image", b"no picture"))
    batch = client.post("/predict/batch?fields=cuts", **photos)
    first, second = check_described(client, batch, "/predict/batch", "post")["results"]
    assert list(first) == [*ALWAYS, "cuts"] and second["success"] is False


def test_unknown_field_is_refused_with_a_list_of_known_fields(client: FlaskClient) -> None:
    response = client.post("/predict?fields=bitting,colour", **PHOTO)
    assert "processing_ms" in check_failure(client, response, 400, "bad_request")["error"]


def test_cached_reading_has_all_fields_after_a_field_selection(client: FlaskClient) -> None:
    client.post("/predict?fields=bitting", **PHOTO)
    body = client.post("/predict", **PHOTO).get_json()
    assert body["cached"] is True and set(SELECTABLE) <= body.keys()
