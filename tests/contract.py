"""Validation of responses against the OpenAPI document that the application serves."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def check_described(
    client: FlaskClient, response: TestResponse, path: str, method: str
) -> dict[str, Any]:
    """Return the body of a response. Fail unless the OpenAPI document allows status and body.

    Args:
        client: Client of the application, to get its OpenAPI document.
        response: The response to check.
        path: The path as the OpenAPI document writes it.
        method: The method in lower case.
    """
    assert response.mimetype == "application/json"
    body: dict[str, Any] = response.get_json()
    check_body(client.get("/openapi.json").get_json(), response.status_code, body, path, method)
    return body


def check_body(
    document: dict[str, Any], status: int, body: dict[str, Any], path: str, method: str
) -> None:
    """Fail unless the OpenAPI document allows this status and body for the path and method."""
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
