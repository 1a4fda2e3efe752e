"""POST / and POST /predict: a photo in, the reading out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Response, g, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from keylike.access.policy import Need, Policy
from keylike.api.authentication import REFUSALS, security
from keylike.api.request_deadline import TIMEOUT, ClientDeadlines
from keylike.api.request_parsing import read_request
from keylike.api.responses import success
from keylike.api.schemas import ZIPCODE_PATTERN, Failure, Prediction, UnreadableFailure
from keylike.inference import Inference

PATHS = ("/", "/predict")
PREMIUM_PATH = "/predict/premium"
ZIPCODE = {
    "type": "string",
    "pattern": ZIPCODE_PATTERN,
    "default": "00000",
    "description": "Five digits",
}
PICTURE = {"type": "string", "format": "binary"}
COMMAND = {"type": "string", "enum": ["predict"]}
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
        "zipcode": {"anyOf": [ZIPCODE, {"type": "null"}]},
        "format": {"type": "string", "enum": ["base64"]},
        "command": COMMAND,
    },
    "required": ["image_data"],
}
RAW_TYPES = ("image/jpeg", "image/png", "image/webp", "image/heic", "image/avif", "image/gif")

CACHE_CONTROL = {
    "name": "Cache-Control",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "example": "no-cache",
    "description": "no-cache or no-store: the photo is read anew, and the reading is not kept",
}

# flask-openapi3 has no way to say that one route takes several kinds of body, so the operation's own document says it.
BODY: dict[str, Any] = {
    "required": True,
    "content": {"multipart/form-data": {"schema": _FORM}, "application/json": {"schema": _JSON}}
    | {kind: {"schema": PICTURE} for kind in RAW_TYPES},
}
_REQUEST = {
    "requestBody": BODY,
    "parameters": [
        {
            "name": "zipcode",
            "in": "query",
            "required": False,
            "schema": ZIPCODE,
            "description": "For a picture sent as the body itself",
        },
        CACHE_CONTROL,
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
    """The prediction routes; `clock` gives seconds since 1970."""
    predictions = APIBlueprint("predict", __name__)
    described: dict[str, Any] = {
        "tags": [Tag(name="predictions")],
        "responses": ANSWERS,
        "openapi_extensions": _REQUEST,
    }
    for_photos = security(policy, Need.PHOTOS)

    @predictions.post(PATHS[0], operation_id="predictAtRoot", security=for_photos, **described)
    @predictions.post(PATHS[1], operation_id="predict", security=for_photos, **described)
    def predict() -> Response:
        """Reads the key in a photo."""
        return read()

    @predictions.post(
        PREMIUM_PATH,
        operation_id="predictPremium",
        security=security(policy, Need.PREMIUM),
        **described,
    )
    def predict_premium() -> Response:
        """The same for tokens of the tier premium."""
        return read()

    def read() -> Response:
        client = clients.current()
        data, options = read_request()
        answer = inference.answer(data, replace(options, cache=cache_wanted()), client)
        return jsonify(success(answer, request_id=g.request_id, now=clock()))

    return predictions


def cache_wanted() -> bool:
    """Whether the request leaves it open that its photo was read before."""
    return not (request.cache_control.no_cache or request.cache_control.no_store)
