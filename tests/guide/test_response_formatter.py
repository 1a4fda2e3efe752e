"""Tests of utils/response_formatter.py."""

from __future__ import annotations

from typing import Any

import pytest

from inference_handler import format_api_response
from utils.response_formatter import format_error_response, validate_api_response

RESULT = {"success": True, "bitting": "2,5,4,7,3", "confidence": 0.8, "keyway": "SC1"}


def response(**changes: Any) -> dict[str, Any]:
    """Return a valid response with some fields changed."""
    return format_api_response(RESULT, "a1b2c3d4") | changes


def test_format_error_response_has_the_fields_of_every_failure() -> None:
    body = format_error_response("No key.", "a1b2c3d4")
    assert body.pop("timestamp") > 1_700_000_000_000
    assert body == {
        "success": False,
        "error": "No key.",
        "request_id": "a1b2c3d4",
        "api_version": "2.0.0",
    }


def test_validate_api_response_accepts_a_formatted_result() -> None:
    assert validate_api_response(response()) == (True, [])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"confidence": 1.5}, "confidence"),
        ({"confidence": "0.8"}, "confidence"),
        ({"timestamp": "now"}, "timestamp"),
        ({"api_version": "1.0.0"}, "api_version"),
        ({"zipcode": "9021"}, "zipcode"),
        ({"success": False}, "success"),
        ({"bitting": "0,9,0,9,0"}, "bitting"),
        ({"keyway": "XX9"}, "bitting"),
    ],
)
def test_validate_api_response_names_the_wrong_field(changes: dict[str, Any], field: str) -> None:
    valid, problems = validate_api_response(response(**changes))
    assert not valid and len(problems) == 1 and problems[0].startswith(f"{field}: ")


def test_validate_api_response_names_every_missing_field() -> None:
    valid, problems = validate_api_response({"success": True})
    assert not valid and len(problems) == 16
