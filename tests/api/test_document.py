"""Requests made up from the OpenAPI document: whatever is sent, the answers are those that it describes."""

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
    """The application with the colour reader, logging nothing; the cases are made before any fixture exists."""
    log = structlog.wrap_logger(
        logging.getLogger("nowhere"),
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
    )
    app = create_app(Settings(), load=colour_reader, log=log)
    answer = app.wsgi_app
    # As over a socket of this machine: the client of these tests says nothing of where it is.
    app.wsgi_app = lambda environ, start_response: answer(  # type: ignore[method-assign]
        {"REMOTE_ADDR": "127.0.0.1", **environ}, start_response
    )
    return app


# What asks for a token even so is in tests/fuzzing/test_described.py.
schema = schemathesis.openapi.from_wsgi("/openapi.json", application()).exclude(
    path="/predict/premium"
)


@schema.parametrize()
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_answers_are_as_described(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate()
