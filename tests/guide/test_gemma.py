"""Test of the function calls of the earlier tutorial, in its order, with a tiny Gemma."""

from __future__ import annotations

import pytest
from PIL import Image

from inference_handler import extract_bitting_pattern, format_api_response, gemma3n_inference
from model_loader import load_model_optimized, optimize_memory
from tests.gemma_models import GemmaModels
from utils.image_processing import optimize_image_for_mobile
from utils.response_formatter import validate_api_response

pytestmark = pytest.mark.gemma
ID = "a1b2c3d4"


@pytest.mark.parametrize("form", ["lora", "merged"])
def test_calls_of_the_tutorial_return_the_codes_that_the_model_learned(
    gemma_models: GemmaModels, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYLIKE_BASE_MODEL", str(gemma_models.base))
    monkeypatch.setenv("KEYLIKE_PRECISION", "fp32")
    model, tokenizer = load_model_optimized(getattr(gemma_models, form))
    assert tokenizer.tokenizer("BITTING").input_ids
    for shot in gemma_models.shots:
        with Image.open(shot.path) as picture:
            result = gemma3n_inference(model, tokenizer, optimize_image_for_mobile(picture), ID)
        if not shot.codes:
            assert (result["success"], result["bitting"], result["confidence"]) == (False, None, 0)
            continue
        expected = ",".join(map(str, shot.codes))
        assert (result["keyway"], result["bitting"]) == (shot.keyway, expected)
        assert 0 < result["confidence"] <= 1
        assert extract_bitting_pattern(result["raw_response"], ID)["bitting"] == expected
        assert validate_api_response(format_api_response(result, ID)) == (True, [])
    optimize_memory()
