"""The token: asked for where one is set, in either header, for predictions alone."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from app import create_app
from config import Settings
from model_loader import ModelSlot
from tests.contract import check_failure
from tests.pictures import plain


@pytest.fixture
def guarded(settings: Settings, model: ModelSlot) -> FlaskClient:
    """An application that asks for a token."""
    return create_app(settings.model_copy(update={"api_key": SecretStr("s3cret-token")}), model=model).test_client()


@pytest.mark.parametrize("headers", [{"X-API-Key": "s3cret-token"}, {"Authorization": "Bearer s3cret-token"}])
def test_the_right_token_passes(guarded: FlaskClient, headers: dict[str, str]) -> None:
    assert guarded.post("/predict", data=plain(), content_type="image/jpeg", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"X-API-Key": ""}, {"X-API-Key": "s3cret-tokem"}, {"Authorization": "Basic s3cret-token"}, {"X-API-Key": "ü"}]
)
@pytest.mark.parametrize("path", ["/", "/predict"])
def test_every_other_is_refused(guarded: FlaskClient, headers: dict[str, str], path: str) -> None:
    response = guarded.post(path, data=plain(), content_type="image/jpeg", headers=headers)
    check_failure(guarded, response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_document_tells_how_to_send_it(guarded: FlaskClient) -> None:
    document = guarded.get("/openapi.json").get_json()
    assert set(document["components"]["securitySchemes"]) == {"token", "bearer"}
    assert document["paths"]["/predict"]["post"]["security"] == [{"token": []}, {"bearer": []}]


def test_health_stays_open(guarded: FlaskClient) -> None:
    assert guarded.get("/health").status_code == 200
