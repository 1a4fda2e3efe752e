"""Requests generated from the OpenAPI document: every response must match its description."""

from __future__ import annotations

import logging
from typing import Any

import schemathesis
import structlog
from flask_openapi3 import OpenAPI
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from keylike.service import create_app
from keylike.settings import Settings
from tests.fakes import colour_reader
from tools.fuzzing.hostile_load.generated import register
from tools.plain_pictures import GREEN, RED, plain

PHOTOS = st.sampled_from([plain(RED), plain(GREEN, "PNG"), plain(RED, "WEBP")])
register(PHOTOS)


def application() -> OpenAPI:
    """Return the application without a log. Schemathesis needs it before any fixture exists."""
    log = structlog.wrap_logger(
        logging.getLogger("nowhere"),
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
    )
    app = create_app(Settings(), load=colour_reader, log=log)
    wsgi_app = app.wsgi_app
    # Schemathesis sends no client address; set that of this machine.
    app.wsgi_app = lambda environ, start_response: wsgi_app(  # type: ignore[method-assign]
        {"REMOTE_ADDR": "127.0.0.1", **environ}, start_response
    )
    return app


# This route requires a token; tests/tools/fuzzing covers it.
schema = schemathesis.openapi.from_wsgi("/openapi.json", application()).exclude(
    path="/predict/premium"
)


@schema.parametrize()
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_generated_request_gets_a_described_response(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate()
