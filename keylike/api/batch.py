"""POST /predict/batch: up to 32 photos in one form, an answer or a failure for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Response, g, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from keylike.access.policy import Need, Policy
from keylike.api.authentication import REFUSALS, security
from keylike.api.limits import Charge
from keylike.api.predict import CACHE_CONTROL, COMMAND, PICTURE, ZIPCODE, cache_wanted
from keylike.api.request_deadline import TIMEOUT, ClientDeadlines
from keylike.api.request_parsing import MOST_PHOTOS, read_batch
from keylike.api.responses import batch, success
from keylike.api.schemas import BatchAnswer, Failure
from keylike.inference import Answer, Inference

PATH = "/predict/batch"
_FORM = {
    "type": "object",
    "properties": {
        "image": {
            "type": "array",
            "items": PICTURE,
            "minItems": 1,
            "maxItems": MOST_PHOTOS,
            "description": "Each a part of this name",
        },
        "zipcode": ZIPCODE,
        "command": COMMAND,
    },
    "required": ["image"],
}
_ANSWERS: dict[Any, Any] = REFUSALS | {
    200: BatchAnswer,
    400: Failure,
    413: Failure,
    415: Failure,
    500: Failure,
    503: Failure,
}


def batch_blueprint(
    inference: Inference,
    clients: ClientDeadlines,
    charge: Charge,
    told: Callable[[Exception], dict[str, Any]],
    *,
    limit: int,
    policy: Policy,
    clock: Callable[[], float],
) -> APIBlueprint:
    """The route for several photos. `charge` counts all but the first, `told` gives the body of a failure, `limit` is the largest request
    in bytes; the rest as for one photo."""
    routes = APIBlueprint("batch", __name__)
    described: dict[str, Any] = {
        "tags": [Tag(name="predictions")],
        "responses": _ANSWERS,
        "security": security(policy, Need.PHOTOS),
        "openapi_extensions": {
            "requestBody": {
                "required": True,
                "description": f"All photos together at most {limit / 1e6:g} MB, each as large as POST /predict takes them",
                "content": {"multipart/form-data": {"schema": _FORM}},
            },
            "parameters": [CACHE_CONTROL, TIMEOUT],
        },
    }

    @routes.post(PATH, operation_id="predictBatch", **described)
    def predict_batch() -> Response:
        """Reads the key in each of up to 32 photos; answers come in their order, and one that fails spoils no other."""
        request.max_content_length = limit
        client = clients.current()
        photos, options = read_batch()
        charge(len(photos) - 1)
        answers = inference.answers(photos, replace(options, cache=cache_wanted()), client)
        return jsonify(
            batch([result(answer) for answer in answers], request_id=g.request_id, now=clock())
        )

    def result(answer: Answer | Exception) -> dict[str, Any]:
        return (
            told(answer)
            if isinstance(answer, Exception)
            else success(answer, request_id=g.request_id, now=clock())
        )

    return routes
