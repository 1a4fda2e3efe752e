"""Tests of the whole API with requests that are generated from its OpenAPI document."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import schemathesis
import structlog
from flask_openapi3 import OpenAPI
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.schemas import BaseSchema

from keylike.service import create_app
from keylike.settings import Settings
from tests.fakes import colour_reader
from tools.fuzzing.hostile_load.generated import register
from tools.plain_pictures import GREEN, RED, plain

TOKEN = "a-token-for-tests-only"
HEADERS = {"X-API-Key": TOKEN}
# LIVE is the only path in the OpenAPI document that never needs a token. UNDESCRIBED are paths of
# pages and files that are not in the document.
LIVE = "/health/live"
UNDESCRIBED = {
    "/openapi.json",
    "/docs",
    "/docs/",
    "/favicon.ico",
    "/docs/files/<path:filename>",
    "/web/<path:filename>",
    "/sw.js",
}
QUICK = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)

register(st.sampled_from([plain(RED), plain(GREEN, "PNG"), plain(RED, "WEBP")]))


def build_app(policy: str) -> OpenAPI:
    """Return an application with one token, for which all clients are remote. It logs nothing."""
    log = structlog.wrap_logger(
        logging.getLogger("nowhere"),
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
    )
    chosen_settings = Settings(api_key=TOKEN, policy=policy, limits="off", cache_ttl_s=0)
    app = create_app(chosen_settings, load=colour_reader, log=log)
    wsgi_app = app.wsgi_app
    app.wsgi_app = lambda environ, start_response: wsgi_app(  # type: ignore[method-assign]
        {**environ, "REMOTE_ADDR": "192.0.2.1", "HTTP_ACCEPT_ENCODING": "identity"},
        start_response,
    )
    return app


APPS = {policy: build_app(policy) for policy in ("open", "predictions", "all")}


def schema(policy: str) -> BaseSchema:
    """Return a schema that calls the application of a policy, without a token by default."""
    document = schemathesis.openapi.from_dict(APPS[policy].api_doc)
    document.app = APPS[policy]
    return document


all_schema, predictions_schema = schema("all"), schema("predictions")


@all_schema.parametrize()
@QUICK
def test_responses_match_the_schema_with_a_token_under_policy_all(
    case: schemathesis.Case[Any],
) -> None:
    case.call_and_validate(headers=HEADERS)


@predictions_schema.parametrize()
@QUICK
def test_responses_match_the_schema_under_policy_predictions(
    case: schemathesis.Case[Any],
) -> None:
    case.call_and_validate(headers=HEADERS)


@all_schema.parametrize()
@QUICK
def test_requests_without_a_valid_token_get_401(case: schemathesis.Case[Any]) -> None:
    # Browsers send preflight requests without a token.
    token_required = case.method != "OPTIONS" and (
        case.path != LIVE or case.method not in ("GET", "HEAD")
    )
    for headers in (
        {},
        {"X-API-Key": TOKEN[:-1]},
        {"Authorization": f"Basic {TOKEN}"},
        {"X-API-Key": "", "Authorization": "Bearer "},
    ):
        response = case.call(headers={**headers, "X-Forwarded-For": "127.0.0.1"})
        assert (response.status_code == 401) == token_required, (case.method, case.path)


@pytest.mark.parametrize("policy", APPS)
def test_openapi_document_contains_every_route_of_the_api(policy: str) -> None:
    rules = {
        rule.rule: rule
        for rule in APPS[policy].url_map.iter_rules()
        if rule.rule not in UNDESCRIBED
    }
    described = APPS[policy].api_doc["paths"]
    assert set(rules) == set(described)
    for path, rule in rules.items():
        assert {method.lower() for method in rule.methods or ()} - {"head", "options"} <= set(
            described[path]
        )
