"""Functions for responses, under names of the older guide.

The older guide is an earlier tutorial for a Keylike server. This module keeps its function names,
so that code written for it still runs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from keylike.api.responses import API_VERSION
from keylike.api.schemas import Prediction
from keylike.keys.bitting import Bitting
from keylike.keys.keyways import keyway

# The fields of a success that phone apps depend on.
FIELDS = (
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
)


def format_error_response(message: str, request_id: str) -> dict[str, Any]:
    """Return the body of a failure."""
    return {
        "success": False,
        "error": message,
        "request_id": request_id,
        "timestamp": round(time.time() * 1e3),
        "api_version": API_VERSION,
    }


def validate_api_response(response: Mapping[str, Any]) -> tuple[bool, list[str]]:
    """Check the fields of a success that phone apps depend on.

    Returns:
        True if the response is complete and valid, and one line per problem: a missing field, a
        wrong type, a value out of range, or a code that the keyway does not allow.
    """
    try:
        Prediction.model_validate(dict(response), strict=True)
        found = []
    except ValidationError as errors:
        found = errors.errors(include_url=False, include_input=False, include_context=False)
    problems = [f"{each['loc'][0]}: {each['msg']}" for each in found if each["loc"][0] in FIELDS]
    if not problems:
        try:
            Bitting.parse(keyway(response["keyway"]), response["bitting"]).validate()
        except (LookupError, ValueError) as error:
            problems.append(f"bitting: {error}")
    return not problems, problems
