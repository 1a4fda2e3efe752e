"""POST /, /predict, /predict/cached and /predict/premium: take a photo and return its reading."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, g, jsonify
from flask_openapi3 import APIBlueprint, Tag

from keylike.access.policy import Need, Policy
from keylike.api.authentication import REFUSALS, security
from keylike.api.field_selection import FIELDS, FieldSelection
from keylike.api.request_deadline import TIMEOUT, ClientDeadlines
from keylike.api.request_parsing import read_request
from keylike.api.responses import success, timed_success
from keylike.api.schemas import (
    Failure,
    Prediction,
    TimedPrediction,
    UnreadableFailure,
)
from keylike.inference import Inference

PATHS = ("/", "/predict", "/predict/cached", "/predict/premium")
ZIPCODE = {
    "type": "string",
    "pattern": "^([0-9]{5})?$",
    "default": "00000",
    "description": "Five digits, for the answer. An empty value counts as missing",
}
PICTURE = {"type": "string", "format": "binary", "description": "The file of the photo"}
COMMAND = {
    "type": "string",
    "enum": ["predict", ""],
    "description": "Older phone apps send it; not needed",
}
_FORM = {
    "type": "object",
    "properties": {"image": PICTURE, "zipcode": ZIPCODE, "command": COMMAND},
    "required": ["image"],
}
_JSON = {
    "type": "object",
    "properties": {
        "image_data": {
            "type": "string",
            "format": "base64-photo",
            "minLength": 1,
            "description": "base64, or a data URL",
        },
        "zipcode": {
            "anyOf": [ZIPCODE, {"type": "null"}],
            "description": "Five digits, for the answer",
        },
        "format": {
            "anyOf": [{"type": "string", "enum": ["base64", ""]}, {"type": "null"}],
            "description": "The only format; not needed",
        },
        "command": {
            "anyOf": [COMMAND, {"type": "null"}],
            "description": "Older phone apps send it; not needed",
        },
    },
    "required": ["image_data"],
}
# Content types that are accepted for a body that consists of the bytes of a picture.
RAW_TYPES = ("image/jpeg", "image/png", "image/webp", "image/heic", "image/avif", "image/gif")

CACHE_CONTROL = {
    "name": "Cache-Control",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "example": "no-cache",
    "description": "no-cache or no-store bypasses the cache: the photo is read again, "
    "and the reading is not kept",
}
CONTENT_ENCODING = {
    "name": "Content-Encoding",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "enum": ["gzip", "identity"]},
    "description": "Compression of the body. The size limits apply to the inflated body. "
    "Any other encoding is refused with 415",
}

# flask-openapi3 cannot describe a route with several content types, so this is written by hand.
BODY: dict[str, Any] = {
    "required": True,
    "description": "A form, JSON, or the bytes of the picture. The type of the bytes may also be "
    f"that of the picture: {', '.join(RAW_TYPES)}. The form field image may also be named images, "
    "image[] or image[0]. A body without Content-Type, or with curl's default type, is read by its "
    "content.",
    "content": {"multipart/form-data": {"schema": _FORM}, "application/json": {"schema": _JSON}}
    # One type in place of all RAW_TYPES: client generators support no other type for bytes.
    | {"application/octet-stream": {"schema": PICTURE}},
}
_REQUEST = {
    "requestBody": BODY,
    "parameters": [
        {
            "name": "zipcode",
            "in": "query",
            "required": False,
            "schema": ZIPCODE,
            "description": "For a request whose body is the picture",
        },
        FIELDS,
        CACHE_CONTROL,
        CONTENT_ENCODING,
        TIMEOUT,
    ],
}
ANSWERS: dict[Any, Any] = REFUSALS | {
    200: Prediction,
    400: Failure,
    413: Failure,
    415: Failure,
    422: UnreadableFailure,
    500: Failure,
    503: Failure,
    504: Failure,
}


def predict_blueprint(
    inference: Inference, clients: ClientDeadlines, *, policy: Policy, clock: Callable[[], float]
) -> APIBlueprint:
    """Return a blueprint with the prediction routes.

    Args:
        inference: Reads photos.
        clients: Resolves the client and its deadline.
        policy: Decides whether a token is required.
        clock: Returns seconds since 1970.
    """
    predictions = APIBlueprint("predict", __name__)
    described: dict[str, Any] = {
        "tags": [Tag(name="predictions")],
        "openapi_extensions": _REQUEST,
        "security": security(policy, Need.PHOTOS),
        "responses": ANSWERS,
    }
    premium = {"security": security(policy, Need.PREMIUM), "endpoint": "predict_premium"}

    @predictions.post("/", operation_id="predictAtRoot", **described)
    @predictions.post("/predict", operation_id="predict", **described)
    @predictions.post(
        "/predict/premium",
        operation_id="predictPremium",
        summary="Read the key in a photo, for tokens of the tier premium.",
        **described | premium,
    )
    def predict() -> Response:
        """Read the key in a photo."""
        client = clients.current()
        chosen = FieldSelection()
        data, options = read_request()
        answer = inference.answer(data, options, client)
        return jsonify(chosen.of(success(answer, request_id=g.request_id, now=clock())))

    @predictions.post(
        "/predict/cached",
        operation_id="predictCached",
        **described | {"responses": ANSWERS | {200: TimedPrediction}},
    )
    def predict_cached() -> Response:
        """Read the key in a photo, and return the processing time in seconds as well.

        The route is for clients of an older API. Every prediction route uses the cache.
        """
        client = clients.current()
        chosen = FieldSelection()
        data, options = read_request()
        answer = inference.answer(data, options, client)
        return jsonify(chosen.of(timed_success(answer, request_id=g.request_id, now=clock())))

    return predictions
