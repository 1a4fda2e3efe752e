"""Requests made up from the API's document, under each policy of tokens: whatever is sent, the answers are those that it describes."""

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

from keylike.readers.loading import ModelSlot
from keylike.service import create_app
from keylike.settings import Settings
from tests.fakes import colour_reader
from tools.fuzzing.hostile_load.drawn import register
from tools.plain_pictures import GREEN, RED, plain

TOKEN = "a-token-for-tests-alone"
HEADERS = {"X-API-Key": TOKEN}
# Open to everybody, whatever asks for a token; the page and the documents of the API are not in the document.
LIVE = "/health/live"
UNDESCRIBED = {
    "/openapi.json",
    "/docs",
    "/docs/files/<path:filename>",
    "/web/<path:filename>",
    "/sw.js",
}
QUICK = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)

register(st.sampled_from([plain(RED), plain(GREEN, "PNG"), plain(RED, "WEBP")]))


def application(policy: str) -> OpenAPI:
    """The application with one token, as callers from elsewhere see it, logging nothing."""
    model = ModelSlot(colour_reader)
    model.load()
    log = structlog.wrap_logger(
        logging.getLogger("nowhere"),
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
    )
    chosen = Settings(api_key=TOKEN, policy=policy, limits="off", cache_ttl_s=0)
    app = create_app(chosen, model=model, log=log)
    answer = app.wsgi_app
    app.wsgi_app = lambda environ, start_response: answer(  # type: ignore[method-assign]
        {**environ, "REMOTE_ADDR": "192.0.2.1"}, start_response
    )
    return app


APPS = {policy: application(policy) for policy in ("open", "predictions", "all")}


def schema(policy: str) -> BaseSchema:
    """The document of an application, whose calls have no token by themselves."""
    made = schemathesis.openapi.from_dict(APPS[policy].api_doc)
    made.app = APPS[policy]
    return made


of_all, of_predictions = schema("all"), schema("predictions")


@of_all.parametrize()
@QUICK
def test_with_a_token_where_all_ask_for_one(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(headers=HEADERS)


@of_predictions.parametrize()
@QUICK
def test_with_a_token_where_predictions_ask_for_one(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(headers=HEADERS)


@of_all.parametrize()
@QUICK
def test_with_no_token_or_a_wrong_one(case: schemathesis.Case[Any]) -> None:
    # Browsers ask without one whether they may send one.
    asked = case.method != "OPTIONS" and (case.path != LIVE or case.method not in ("GET", "HEAD"))
    for headers in (
        {},
        {"X-API-Key": TOKEN[:-1]},
        {"Authorization": f"Basic {TOKEN}"},
        {"X-API-Key": "", "Authorization": "Bearer "},
    ):
        response = case.call(headers={**headers, "X-Forwarded-For": "127.0.0.1"})
        assert (response.status_code == 401) == asked, (case.method, case.path)


@pytest.mark.parametrize("policy", APPS)
def test_the_whole_api_is_described(policy: str) -> None:
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
