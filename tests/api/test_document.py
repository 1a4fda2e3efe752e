"""Tests of the OpenAPI document, also with requests generated from it.

Every response must match its description. `make lint-api` checks the document with redocly too.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
import structlog
from flask_openapi3 import OpenAPI
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from keylike.service import create_app
from keylike.settings import Settings
from tests.fakes import colour_reader
from tools.fuzzing.hostile_load.generated import register
from tools.openapi import EXAMPLES as FILE
from tools.openapi import examples
from tools.plain_pictures import GREEN, RED, plain

EXAMPLES: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
PHOTOS = st.sampled_from([plain(RED), plain(GREEN, "PNG"), plain(RED, "WEBP")])
register(PHOTOS)


def application() -> OpenAPI:
    """Return an application without a log. Schemathesis needs it before any fixture exists."""
    log = structlog.wrap_logger(
        logging.getLogger("nowhere"),
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
    )
    app = create_app(Settings(), load=colour_reader, log=log)
    wsgi_app = app.wsgi_app
    # Schemathesis sends no client address, so set one. It also asks for gzip but does not
    # decompress the response of a WSGI application, so ask for no compression.
    app.wsgi_app = lambda environ, start_response: wsgi_app(  # type: ignore[method-assign]
        {"REMOTE_ADDR": "127.0.0.1", **environ, "HTTP_ACCEPT_ENCODING": "identity"}, start_response
    )
    return app


# /predict/premium requires a token; tests/tools/fuzzing covers it.
schema = schemathesis.openapi.from_wsgi("/openapi.json", application()).exclude(
    path="/predict/premium"
)


@schema.parametrize()
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_response_to_a_generated_request_matches_its_schema(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate()


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Return the OpenAPI document of a server with default settings."""
    body: dict[str, Any] = application().test_client().get("/openapi.json").get_json()
    return body


def test_openapi_document_is_valid(document: dict[str, Any]) -> None:
    pytest.importorskip("openapi_spec_validator").validate(document)


def test_every_field_and_parameter_is_described(document: dict[str, Any]) -> None:
    missing = []
    for name, schema in document["components"]["schemas"].items():
        properties = schema.get("properties", {})
        missing += [f"{name}.{key}" for key, value in properties.items() if not described(value)]
    for path, method, operation in operations(document):
        for body in operation.get("requestBody", {}).get("content", {}).values():
            properties = body["schema"].get("properties", {})
            missing += [
                f"{path}.{key}" for key, value in properties.items() if not described(value)
            ]
        for parameter in operation.get("parameters", []):
            if "description" not in parameter:
                missing.append(f"{method} {path} {parameter['name']}")
    assert not missing


def described(schema: dict[str, Any]) -> bool:
    """Return True if a property has a description or only refers to another schema."""
    return "description" in schema or set(schema) == {"$ref"}


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the path, method and definition of every operation."""
    for path, item in document["paths"].items():
        for method in ("get", "post"):
            if method in item:
                yield path, method, item[method]


def test_operation_ids_are_unique_and_start_with_a_verb(document: dict[str, Any]) -> None:
    found = [(method, each["operationId"]) for _, method, each in operations(document)]
    assert len({name for _, name in found}) == len(found)
    for method, name in found:
        verbs = "get" if method == "get" else "predict|classify"
        assert re.fullmatch(rf"({verbs})([A-Z][a-z]+)*", name), name


def test_openapi_document_has_licence_servers_and_tags(document: dict[str, Any]) -> None:
    assert document["info"]["license"] == {"name": "MIT", "identifier": "MIT"}
    assert [server["url"] for server in document["servers"]] == ["/", "/v1"]
    assert all(tag["description"] for tag in document["tags"])


def test_examples_match_their_schemas(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in EXAMPLES:
        (example,) = schemas[name]["examples"]
        jsonschema_rs.validate({**schemas[name], "components": document["components"]}, example)


def test_examples_have_the_fields_of_real_responses() -> None:
    answers = examples()
    assert {name: shape(each) for name, each in answers.items()} == {
        name: shape(each) for name, each in EXAMPLES.items()
    }


def shape(value: Any) -> Any:
    """Return the field names of nested objects, using only the first entry of each list."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else None
