"""POST /classify/image: takes a photo and returns a probability for each class of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, g, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from keylike.access.policy import Need, Policy
from keylike.api.authentication import security
from keylike.api.predict import ANSWERS, BODY, CONTENT_ENCODING
from keylike.api.request_deadline import TIMEOUT, ClientDeadlines
from keylike.api.request_parsing import read_request
from keylike.api.responses import classified
from keylike.api.schemas import ClassificationOut, Failure
from keylike.inference import Classifying
from keylike.readers.classifiers.catalog import NAME

PATH = "/classify/image"
_MODEL = {
    "name": "model",
    "in": "query",
    "required": False,
    "schema": {"type": "string", "pattern": f"^({NAME})?$"},
    "description": "Folder name of a classifier on the server. "
    "By default the embedded reader classifies the key family.",
}
_ANSWERS: dict[Any, Any] = ANSWERS | {200: ClassificationOut, 404: Failure}


def classify_blueprint(
    classifying: Classifying,
    clients: ClientDeadlines,
    *,
    policy: Policy,
    clock: Callable[[], float],
) -> APIBlueprint:
    """Return a blueprint with the classification route.

    Args:
        classifying: Classifies photos.
        clients: Resolves the client and its deadline.
        policy: Decides whether a token is required.
        clock: Returns seconds since 1970.
    """
    routes = APIBlueprint("classify", __name__)

    @routes.post(
        PATH,
        operation_id="classifyImage",
        tags=[Tag(name="predictions")],
        responses=_ANSWERS,
        security=security(policy, Need.PHOTOS),
        openapi_extensions={"requestBody": BODY, "parameters": [_MODEL, CONTENT_ENCODING, TIMEOUT]},
    )
    def classify_image() -> Response:
        """Classify a photo by the family of its key, or by the classes of another model."""
        client = clients.current()
        data, _ = read_request()
        answer = classifying.answer(data, request.args.get("model") or None, client)
        g.model = answer.model
        return jsonify(classified(answer, request_id=g.request_id, now=clock()))

    return routes
