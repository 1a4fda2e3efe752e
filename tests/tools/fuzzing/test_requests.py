"""Requests of any shape through the application's own door: never a failure of the server, and every failure as the contract says."""

from __future__ import annotations

from random import Random

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tools.fuzzing.hostile_load.bodies import Body, strange_form, strange_json
from tools.fuzzing.hostile_load.case import Case
from tools.fuzzing.hostile_load.drawn import forms, jsons, raws
from tools.fuzzing.hostile_load.verdict import faults
from tools.fuzzing.hostile_load.wire import Answer, Outcome
from tools.fuzzing.hostile_load.words import PHOTO_PATHS, WORDS

ANYHOW = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PATHS = st.sampled_from(PHOTO_PATHS)


def check(client: FlaskClient, path: str, body: Body, query: dict[str, str] | None = None) -> None:
    """Posts it, and holds the answer against the contract."""
    response = client.post(path, data=body[1], content_type=body[0], query_string=query)
    answer = Answer(
        response.status_code,
        {name.lower(): value for name, value in response.headers},
        response.get_data(),
        0.0,
    )
    assert (
        response.status_code != 504
        and faults(Case("test", ()), Outcome((answer,), None, 0.0)) == []
    )


@given(path=PATHS, body=forms())
@ANYHOW
def test_any_form(client: FlaskClient, path: str, body: Body) -> None:
    check(client, path, body)


@given(path=PATHS, body=jsons())
@ANYHOW
def test_any_json(client: FlaskClient, path: str, body: Body) -> None:
    check(client, path, body)


@given(
    path=PATHS,
    body=raws(),
    zipcode=st.text(max_size=8) | st.sampled_from(WORDS),
    model=st.none() | st.sampled_from(WORDS),
)
@ANYHOW
def test_any_bytes_of_any_kind(
    client: FlaskClient, path: str, body: Body, zipcode: str, model: str | None
) -> None:
    check(client, path, body, {"zipcode": zipcode} | ({} if model is None else {"model": model}))


@pytest.mark.parametrize("make", [strange_form, strange_json])
def test_what_the_storm_makes_up(client: FlaskClient, make: object) -> None:
    for number in range(200):
        chance = Random(number)
        check(client, chance.choice(PHOTO_PATHS), make(chance))  # type: ignore[operator]
