"""The health routes through a server's life: loading, ready, draining."""

from __future__ import annotations

from flask.testing import FlaskClient

from app import create_app
from config import Settings
from model_loader import ModelSlot
from tests.contract import check_described, check_failure
from tests.fakes import ColourReader
from tests.pictures import plain


def test_ready(client: FlaskClient) -> None:
    body = check_described(client, client.get("/health"), "/health", "get")
    assert (body["status"], body["model_loaded"], body["model"]) == ("healthy", True, "colour-1.0.0")
    for path in ("/health/live", "/health/ready", "/health/startup"):
        assert check_described(client, client.get(path), path, "get")["status"] in ("alive", "ready")


def test_not_ready_until_loaded_and_warmed(settings: Settings) -> None:
    reader = ColourReader()
    model = ModelSlot(lambda: reader)
    client = create_app(settings, model=model).test_client()
    ready = client.get("/health/ready")
    assert check_described(client, ready, "/health/ready", "get")["code"] == "model_loading"
    assert (ready.status_code, ready.headers["Retry-After"]) == (503, "5")
    assert client.get("/health").get_json()["status"] == "loading"
    assert client.get("/health/live").status_code == 200
    refused = client.post("/predict", data=plain(), content_type="image/jpeg")
    check_failure(client, refused, 503, "model_loading")
    model.load()
    assert reader.warmed
    assert client.get("/health/ready").status_code == 200
    assert client.post("/predict", data=plain(), content_type="image/jpeg").status_code == 200


def test_not_ready_while_draining(settings: Settings, model: ModelSlot) -> None:
    client = create_app(settings, model=model, draining=lambda: True).test_client()
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health").get_json()["status"] == "draining"
    assert client.get("/health/live").status_code == 200
