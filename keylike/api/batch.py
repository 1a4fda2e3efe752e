"""POST /predict/batch: up to 32 photos in one form, and one result for each photo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, g, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from keylike.access.policy import Need, Policy
from keylike.api.authentication import REFUSALS, security
from keylike.api.field_selection import FIELDS, FieldSelection
from keylike.api.limits import Charge
from keylike.api.predict import CACHE_CONTROL, COMMAND, CONTENT_ENCODING, PICTURE, ZIPCODE
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
            "description": "One part with this name for each photo. "
            "The names images, image[] and image[0] are accepted too",
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
    failure_body: Callable[[Exception], dict[str, Any]],
    *,
    limit: int,
    policy: Policy,
    clock: Callable[[], float],
) -> APIBlueprint:
    """Return a blueprint with the route for several photos.

    Args:
        inference: Reads the photos.
        clients: Resolves the client and its deadline.
        charge: Counts photos against the rate limit. It is called for all photos except the first,
            which is counted with the request.
        failure_body: Returns the body for the failure of one photo.
        limit: Largest request body in bytes.
        policy: Decides whether a token is required.
        clock: Returns seconds since 1970.
    """
    routes = APIBlueprint("batch", __name__)
    described: dict[str, Any] = {
        "tags": [Tag(name="predictions")],
        "responses": _ANSWERS,
        "security": security(policy, Need.PHOTOS),
        "openapi_extensions": {
            "requestBody": {
                "required": True,
                "description": f"All photos together may have at most {limit / 1e6:g} MB. "
                "Each photo has the limit of POST /predict.",
                "content": {"multipart/form-data": {"schema": _FORM}},
            },
            "parameters": [FIELDS, CACHE_CONTROL, CONTENT_ENCODING, TIMEOUT],
        },
    }

    @routes.post(PATH, operation_id="predictBatch", **described)
    def predict_batch() -> Response:
        """Read the key in each of up to 32 photos.

        Results come in the order of the photos. A photo that fails does not affect the others.
        """
        request.max_content_length = limit
        client = clients.current()
        chosen = FieldSelection()
        photos, options = read_batch()
        charge(len(photos) - 1)
        answers = inference.answers(photos, options, client)
        return jsonify(
            batch(
                [result(answer, chosen) for answer in answers], request_id=g.request_id, now=clock()
            )
        )

    def result(answer: Answer | Exception, chosen: FieldSelection) -> dict[str, Any]:
        return (
            failure_body(answer)
            if isinstance(answer, Exception)
            else chosen.of(success(answer, request_id=g.request_id, now=clock()))
        )

    return routes
