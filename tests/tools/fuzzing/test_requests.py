"""Tests of the application with random requests: no server errors, and only valid responses."""

from __future__ import annotations

from random import Random

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tools.fuzzing.hostile_load.bodies import Body, malformed_form, malformed_json
from tools.fuzzing.hostile_load.case import Case
from tools.fuzzing.hostile_load.exchange import Exchange, Response
from tools.fuzzing.hostile_load.generated import forms, jsons, raws
from tools.fuzzing.hostile_load.payloads import PHOTO_PATHS, TEXTS
from tools.fuzzing.hostile_load.violations import violations

SETTINGS = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PATHS = st.sampled_from(PHOTO_PATHS)


def check(client: FlaskClient, path: str, body: Body, query: dict[str, str] | None = None) -> None:
    """Post a body and check that the response is valid for the API."""
    response = client.post(path, data=body[1], content_type=body[0], query_string=query)
    answer = Response(
        response.status_code,
        {name.lower(): value for name, value in response.headers},
        response.get_data(),
        0.0,
    )
    assert (
        response.status_code != 504
        and violations(Case("test", ()), Exchange((answer,), None, 0.0)) == []
    )


@given(path=PATHS, body=forms())
@SETTINGS
def test_response_to_a_random_form_is_valid(client: FlaskClient, path: str, body: Body) -> None:
    check(client, path, body)


@given(path=PATHS, body=jsons())
@SETTINGS
def test_response_to_random_json_is_valid(client: FlaskClient, path: str, body: Body) -> None:
    check(client, path, body)


@given(
    path=PATHS,
    body=raws(),
    zipcode=st.text(max_size=8) | st.sampled_from(TEXTS),
    model=st.none() | st.sampled_from(TEXTS),
)
@SETTINGS
def test_response_to_a_random_body_and_content_type_is_valid(
    client: FlaskClient, path: str, body: Body, zipcode: str, model: str | None
) -> None:
    check(client, path, body, {"zipcode": zipcode} | ({} if model is None else {"model": model}))


@pytest.mark.parametrize("make_body", [malformed_form, malformed_json])
def test_response_to_a_malformed_body_is_valid(client: FlaskClient, make_body: object) -> None:
    for number in range(200):
        rng = Random(number)
        check(client, rng.choice(PHOTO_PATHS), make_body(rng))  # type: ignore[operator]
