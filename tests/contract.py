"""Validation of responses against the OpenAPI document that the application serves."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def check_described(
    client: FlaskClient, response: TestResponse, path: str, method: str
) -> dict[str, Any]:
    """Return the body if the document describes the status and the body; fail otherwise.

    Args:
        client: Fetches the document.
        response: The response to check.
        path: The route as the document writes it.
        method: The method in lower case.
    """
    assert response.mimetype == "application/json"
    body: dict[str, Any] = response.get_json()
    check_body(client.get("/openapi.json").get_json(), response.status_code, body, path, method)
    return body


def check_body(
    document: dict[str, Any], status: int, body: dict[str, Any], path: str, method: str
) -> None:
    """Fail unless the document describes a status and body, for example from a socket."""
    answers = document["paths"][path][method]["responses"]
    assert str(status) in answers, f"{status} is not described: {body}"
    schema = answers[str(status)]["content"]["application/json"]["schema"]
    jsonschema_rs.validate({**schema, "components": document["components"]}, body)


def check_failure(
    client: FlaskClient, response: TestResponse, status: int, code: str
) -> dict[str, Any]:
    """Return the body of a failed POST /predict after checking its status and code."""
    body = check_described(client, response, "/predict", "post")
    assert (response.status_code, body["code"], body["success"]) == (status, code, False)
    return body
