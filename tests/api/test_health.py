"""Tests of the health routes while the server loads, is ready, and drains."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from keylike.errors import ModelError
from keylike.readers.contract import Reader
from keylike.service import Load, Service, create_app
from keylike.settings import Settings
from tests.contract import check_described, check_failure
from tests.fakes import ColourReader, colour_reader
from tools.plain_pictures import plain


def test_health_is_healthy_when_the_model_is_loaded(client: FlaskClient) -> None:
    body = check_described(client, client.get("/health"), "/health", "get")
    assert (body["status"], body["reason"], body["model_loaded"], body["model"]) == (
        "healthy",
        None,
        True,
        "colour-1.0.0",
    )
    for path in ("/health/live", "/health/ready", "/health/startup"):
        assert check_described(client, client.get(path), path, "get")["status"] in (
            "alive",
            "ready",
        )


def test_ready_returns_503_until_the_model_is_loaded_and_warmed_up(settings: Settings) -> None:
    reader = ColourReader()
    service = Service(settings, load=lambda: reader)
    client = service.app.test_client()
    ready = client.get("/health/ready")
    assert check_described(client, ready, "/health/ready", "get")["code"] == "model_loading"
    assert (ready.status_code, ready.headers["Retry-After"]) == (503, "5")
    assert client.get("/health").get_json()["status"] == "loading"
    assert client.get("/health/live").status_code == 200
    refused = client.post("/predict", data=plain(), content_type="image/jpeg")
    check_failure(client, refused, 503, "model_loading")
    service.load()
    assert reader.warmed
    assert client.get("/health/ready").status_code == 200
    assert client.post("/predict", data=plain(), content_type="image/jpeg").status_code == 200


def test_health_is_degraded_with_a_replacement_reader(settings: Settings) -> None:
    held = threading.Event()

    def fail() -> Reader:
        assert held.wait(20)
        raise ModelError("gemma/config.json is damaged")

    service = Service(settings, load=fail, spare=colour_reader)
    client = service.app.test_client()
    loading = threading.Thread(target=service.load)
    loading.start()
    body = check_described(client, client.get("/health"), "/health", "get")
    assert (body["status"], body["reason"], body["model_loaded"], body["model"]) == (
        "loading",
        None,
        False,
        None,
    )
    held.set()
    loading.join(20)
    body = check_described(client, client.get("/health"), "/health", "get")
    assert (body["status"], body["reason"]) == ("degraded", "gemma/config.json is damaged")
    assert (body["model_loaded"], body["model"]) == (True, "colour-1.0.0")
    assert client.get("/health/ready").status_code == 200
    assert (
        client.post("/predict", data=plain(), content_type="image/jpeg").get_json()["model_used"]
        == "colour-1.0.0"
    )


def test_health_is_degraded_without_the_configured_model_unless_strict(
    settings: Settings, tmp_path: Path
) -> None:
    unlike = settings.model_copy(update={"model_path": tmp_path / "gemma"})
    body = create_app(unlike).test_client().get("/health").get_json()
    assert (body["status"], body["model"]) == ("degraded", "caliper-1.3.0")
    assert body["reason"].startswith("gemma does not exist") and str(tmp_path) not in body["reason"]
    with pytest.raises(ModelError):
        create_app(unlike.model_copy(update={"strict": True}))
    one = (
        create_app(settings.model_copy(update={"agree": True}))
        .test_client()
        .get("/health")
        .get_json()
    )
    assert (one["status"], one["model"]) == ("degraded", "caliper-1.3.0")
    assert one["reason"] == "KEYLIKE_AGREE needs MODEL_PATH to name a model other than the caliper"


def test_ready_returns_503_while_draining(settings: Settings, model: Load) -> None:
    service = Service(settings, load=model)
    service.load()
    service.draining.set()
    client = service.app.test_client()
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health").get_json()["status"] == "draining"
    assert client.get("/health/live").status_code == 200
