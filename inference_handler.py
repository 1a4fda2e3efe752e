"""Reading and formatting, under function names of the older guide.

The older guide is an earlier tutorial for a Keylike server. This module keeps its function names,
so that code written for it still runs. Two things differ:

- If a reply contains no code, the guide invents one, with a constant confidence. Here the result is
  a failure: `{"success": False, "error": ..., "bitting": None, "confidence": 0.0}`.
- Depths are the maker's numbers; for Schlage, 0 is the shallowest. The prompt of the guide counts
  from 1 (deepest) to 9, which no maker does. The manifest of a checkpoint states the scale on which
  it was trained.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from PIL import Image

from keylike.api.responses import success
from keylike.errors import KeylikeError
from keylike.images.photo import photo_from_image
from keylike.inference import Answer
from keylike.keys.bitting import Bitting
from keylike.keys.keyways import keyway
from keylike.keys.market import market
from keylike.keys.risk import assess
from keylike.readers.contract import Candidate, Quality, Reader, Reading, Unreadable
from keylike.readers.gemma.legacy_manifest import KEYWAYS
from keylike.readers.reply import parse_reply
from utils.response_formatter import FIELDS, format_error_response

_log = logging.getLogger("keylike")
# A lock, because only one thread may use a Gemma model at a time.
_reading = threading.Lock()


def gemma3n_inference(
    model: Reader, tokenizer: Any, image: Image.Image, request_id: str
) -> dict[str, Any]:
    """Read the key in a picture.

    Args:
        model: The reader from `model_loader.load_model_optimized`.
        tokenizer: The second value of that function. It is not used, because the reader contains
            its tokenizer.
        image: The picture, in any mode and orientation.
        request_id: Identifier for the log.

    Returns:
        A dictionary with `success`, `bitting`, `confidence`, `raw_response`, `keyway`, `brand` and
        `model_used`, or a failure. `confidence` is the probability that the whole code is right.
        `raw_response` is the code in the format of the guide, because the model writes no free
        text.
    """
    try:
        photo = photo_from_image(image)
        with _reading:
            (result,) = model.read([photo])
    except (KeylikeError, OSError) as error:  # OSError: Pillow opens lazily, the file is damaged
        _log.warning("request %s: %s", request_id, type(error).__name__)
        return _failure(str(error))
    if isinstance(result, Unreadable):
        return _failure(f"{result.message} {result.advice}")
    key = keyway(result.keyway)
    bitting = Bitting(key, result.codes).format()
    return {
        "success": True,
        "bitting": bitting,
        "confidence": result.confidence,
        "raw_response": f"KEYWAY: {key.name}\nBITTING: {bitting}",
        "keyway": key.name,
        "brand": key.brand,
        "model_used": f"{model.info.name}-{model.info.version}",
    }


def extract_bitting_pattern(response: str, request_id: str) -> dict[str, Any]:
    """Return the code in a model's reply as `bitting` and `confidence`, or a failure.

    A reply without exactly one possible code is a failure. (The guide accepts any five digits, and
    otherwise invents a code.) A reply without a keyway is read as SC1, as in the guide.
    `confidence` is always 0.0, which means unknown, because a text contains no probabilities.
    """
    reply = parse_reply(response, KEYWAYS)
    if reply is None or (reply.keyway is None and reply.keyway_span is not None):
        _log.info("request %s: the reply names no code", request_id)
        return _failure("The model did not answer with one code of a known keyway.")
    problems = Bitting(keyway(reply.keyway or "SC1"), reply.digits).problems()
    if problems:
        return _failure(f"The model answered with an impossible code: {'; '.join(problems)}.")
    return {"success": True, "bitting": ",".join(map(str, reply.digits)), "confidence": 0.0}


def format_api_response(
    result: dict[str, Any], request_id: str, zipcode: str = "00000"
) -> dict[str, Any]:
    """Return the API response for a result of `gemma3n_inference`.

    Returns:
        The fields that phone apps depend on, computed as by `POST /predict`; or an error response
        if the result is a failure, or its code, its confidence or the zipcode is not possible.
    """
    if not result.get("success"):
        return format_error_response(
            str(result.get("error") or "The key was not read."), request_id
        )
    try:
        bitting = Bitting.parse(keyway(str(result["keyway"])), str(result["bitting"]))
        bitting.validate()
        figures, confidence = market(bitting, zipcode), float(result["confidence"])
        if not 0 <= confidence <= 1:
            raise ValueError("a confidence is from 0 to 1")
    except (LookupError, TypeError, ValueError) as error:
        _log.warning("request %s: the result is not usable: %s", request_id, type(error).__name__)
        return format_error_response(
            "The result has no possible code, confidence or zipcode.", request_id
        )
    candidates = (Candidate(bitting.codes, confidence),)
    reading = Reading(
        bitting.keyway.name, bitting.codes, confidence, False, (), candidates, Quality()
    )
    model = str(result.get("model_used", "unknown"))
    answer = Answer(reading, bitting, assess(bitting), figures, model, zipcode, 0.0, cached=False)
    body = success(answer, request_id=request_id, now=time.time())
    return {name: body[name] for name in (*FIELDS, "assessment")}


def calculate_manufacturing_complexity(bitting: str | Sequence[int]) -> int:
    """Return the rough complexity of a code by the formula of the guide, from 20 to 50.

    Raises:
        ValueError: `bitting` is not a code.
    """
    return market(_sc1(bitting), "00000").manufacturing_complexity


def estimate_annual_production(bitting: str | Sequence[int], zipcode: str = "00000") -> int:
    """Return the rough number of keys made per year by the formula of the guide.

    Raises:
        ValueError: `bitting` is not a code, or `zipcode` does not have five digits.
    """
    return market(_sc1(bitting), zipcode).estimated_annual_production


def _sc1(bitting: str | Sequence[int]) -> Bitting:
    """Parse a code as that of an SC1 key. The guide treats every key as SC1."""
    text = bitting if isinstance(bitting, str) else ",".join(map(str, bitting))
    return Bitting.parse(keyway("SC1"), text)


def _failure(error: str) -> dict[str, Any]:
    return {"success": False, "error": error, "bitting": None, "confidence": 0.0}
