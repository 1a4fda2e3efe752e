"""Tests of inference_handler.py, with the embedded reader."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pytest
from PIL import Image

from inference_handler import (
    calculate_manufacturing_complexity,
    estimate_annual_production,
    extract_bitting_pattern,
    format_api_response,
    gemma3n_inference,
)
from keylike.errors import Overloaded
from keylike.images.photo import Photo
from keylike.readers.contract import ReaderInfo, Reading, Unreadable
from keylike.resources import SAMPLES
from model_loader import load_model_optimized
from utils.response_formatter import FIELDS

MODEL, TOKENIZER = load_model_optimized(SAMPLES.parent / "models" / "caliper")
ID = "a1b2c3d4"
RESULT = {"success": True, "bitting": "2,5,4,7,3", "confidence": 0.8, "keyway": "SC1"}


class FailingReader:
    """A reader that has no free memory for a photo."""

    info = ReaderInfo("failing", "1", "gemma-lora", ("SC1",), "")

    def warm(self) -> None:
        """Do nothing."""

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Raise the error of a reader that has no free memory."""
        raise Overloaded("There is no memory to read this photo now.", retry_after_s=2)


def assert_failure(result: dict[str, Any], words: str) -> None:
    """Check that a result is a failure without a bitting, whose error contains `words`."""
    assert words in result.pop("error")
    assert result == {"success": False, "bitting": None, "confidence": 0.0}


def test_gemma3n_inference_reads_a_sample() -> None:
    with Image.open(SAMPLES / "sc1_01.jpg") as picture:
        result = gemma3n_inference(MODEL, TOKENIZER, picture, ID)
    assert (result["success"], result["bitting"]) == (True, "5,0,6,8,3")
    assert (result["keyway"], result["brand"]) == ("SC1", "Schlage")
    assert 0.5 < result["confidence"] <= 1
    assert extract_bitting_pattern(result["raw_response"], ID)["bitting"] == "5,0,6,8,3"


def test_gemma3n_inference_without_a_key_is_a_failure() -> None:
    result = gemma3n_inference(MODEL, TOKENIZER, Image.new("RGB", (640, 480), "grey"), ID)
    assert_failure(result, "key")


def test_gemma3n_inference_without_memory_is_a_failure() -> None:
    result = gemma3n_inference(FailingReader(), None, Image.new("L", (64, 64)), ID)
    assert_failure(result, "no memory")


def test_gemma3n_inference_of_a_truncated_file_is_a_failure() -> None:
    data = (SAMPLES / "sc1_01.jpg").read_bytes()[:20_000]
    assert_failure(
        gemma3n_inference(MODEL, TOKENIZER, Image.open(io.BytesIO(data)), ID), "truncated"
    )


@pytest.mark.parametrize(
    ("response", "bitting"),
    [
        ("BITTING: 2,5,4,7,3", "2,5,4,7,3"),
        ("bitting: 0, 5, 4, 7, 3", "0,5,4,7,3"),
        ("KEYWAY: KW1\nBITTING: 7,3,5,2,5\nCONFIDENCE: 0.97", "7,3,5,2,5"),
        ("KEYWAY: SC4\nBITTING: 8,9,6,3,8,9", "8,9,6,3,8,9"),
    ],
)
def test_extract_bitting_pattern_returns_the_code_with_confidence_zero(
    response: str, bitting: str
) -> None:
    found = extract_bitting_pattern(response, ID)
    assert found == {"success": True, "bitting": bitting, "confidence": 0.0}


@pytest.mark.parametrize(
    "response",
    [
        "",
        "I cannot see a key.",
        "The phone number is 12345.",
        "BITTING: 2,5",
        "BITTING: 2,5,4,7,3 or BITTING: 3,5,4,7,3",
        "KEYWAY: NONE",
        "KEYWAY: XX9\nBITTING: 2,5,4,7,3",
    ],
)
def test_extract_bitting_pattern_fails_for_text_without_one_clear_code(response: str) -> None:
    assert_failure(extract_bitting_pattern(response, ID), "did not answer with one code")


def test_extract_bitting_pattern_refuses_an_impossible_code() -> None:
    assert_failure(extract_bitting_pattern("BITTING: 0,9,0,9,0", ID), "MACS")


def test_format_api_response_has_the_fields_and_market_figures_of_the_api() -> None:
    body = format_api_response(RESULT, ID, "90210")
    assert {*FIELDS} < {*body}
    assert (body["keyway"], body["bitting"], body["brand"]) == ("SC1", "2,5,4,7,3", "Schlage")
    assert (body["confidence"], body["zipcode"], body["request_id"]) == (0.8, "90210", ID)
    assert body["estimatedAnnualProduction"] == estimate_annual_production("2,5,4,7,3", "90210")
    assert body["manufacturingComplexity"] == calculate_manufacturing_complexity("2,5,4,7,3")


@pytest.mark.parametrize(
    "changes",
    [
        {"success": False, "error": "No key."},
        {"bitting": "0,9,0,9,0"},
        {"bitting": None},
        {"keyway": "XX9"},
        {"confidence": float("nan")},
        {"confidence": 1.5},
    ],
)
def test_format_api_response_returns_an_error_for_an_invalid_result(
    changes: dict[str, Any],
) -> None:
    body = format_api_response(RESULT | changes, ID)
    assert body["success"] is False and body["request_id"] == ID and "bitting" not in body
    assert body["error"] == changes.get("error", body["error"])


def test_format_api_response_returns_an_error_for_an_invalid_zipcode() -> None:
    assert format_api_response(RESULT, ID, "9021")["success"] is False


def test_market_figures_accept_text_or_numbers_and_follow_the_formulas() -> None:
    assert calculate_manufacturing_complexity([2, 5, 4, 7, 3]) == 38
    assert estimate_annual_production("5,5,5,5,5") == 45_000_000 + 500_000 + 250_000
    with pytest.raises(ValueError, match="depth numbers"):
        calculate_manufacturing_complexity("none")
