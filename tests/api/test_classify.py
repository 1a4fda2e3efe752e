"""Tests of POST /classify/image, with the embedded caliper and with ONNX classifiers."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from keylike.readers.caliper.networks import KINDS
from keylike.service import Load, Service, create_app
from keylike.settings import Settings
from tests.classifier_models import LABELS, Net, make_classifier
from tests.contract import check_described
from tests.log_text import log_text
from tools.plain_pictures import BLUE, GREEN, RED, plain, png

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = [
    json.loads(line) for line in (ROOT / "samples" / "labels.jsonl").read_text().splitlines()
]
PATH = "/classify/image"


def photo(sample: dict[str, Any]) -> bytes:
    """Return the bytes of a sample photo."""
    data: bytes = (ROOT / "samples" / sample["file"]).read_bytes()
    return data


def post(client: FlaskClient, data: bytes, query: str = "", **more: Any) -> TestResponse:
    """Post a photo as the request body."""
    return client.post(PATH + query, data=data, content_type="image/jpeg", **more)


def succeeded(client: FlaskClient, response: TestResponse) -> dict[str, Any]:
    """Return the body of a success after checking that its probabilities are consistent."""
    body = check_described(client, response, PATH, "post")
    assert response.status_code == 200, body
    shares = body["all_probabilities"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-9)
    assert body["confidence"] == max(shares.values()) == shares[body["predicted_class"]]
    assert body["request_id"] == response.headers["X-Request-Id"]
    return body


def failed(client: FlaskClient, response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """Return the body of a failure after checking its status and code."""
    body = check_described(client, response, PATH, "post")
    assert (response.status_code, body["success"], body["code"]) == (status, False, code)
    return body


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Return a models folder with the caliper, a classifier of colours, and notes, not a model."""
    home = tmp_path / "models"
    make_classifier(home / "colours")
    (home / "caliper").symlink_to(ROOT / "models" / "caliper")
    (home / "notes").mkdir()
    return home


@pytest.fixture
def server(settings: Settings, model: Load, models: Path) -> Iterator[FlaskClient]:
    """Return a client of an application that uses `models` and a reader other than the caliper."""
    chosen = settings.model_copy(update={"models": models})
    with Service(chosen, load=model) as service:
        service.load()
        yield service.app.test_client()


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """Return a client of an application with default settings."""
    chosen = Settings(logs=tmp_path_factory.mktemp("logs"))
    with Service(chosen) as service:
        service.load()
        yield service.app.test_client()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["file"])
def test_classify_sample_returns_its_family(shipped: FlaskClient, sample: dict[str, Any]) -> None:
    body = succeeded(shipped, post(shipped, photo(sample)))
    assert tuple(body["all_probabilities"]) == KINDS
    assert body["predicted_class"] == sample["keyway"]
    assert body["model_used"].startswith("caliper-")


def test_classify_without_a_key_returns_none_with_low_confidence(shipped: FlaskClient) -> None:
    body = succeeded(shipped, post(shipped, plain(size=(640, 480))))
    assert body["predicted_class"] == "none" and body["confidence"] < 0.9


def test_classify_tiny_picture_returns_a_reason_and_advice(shipped: FlaskClient) -> None:
    body = failed(shipped, post(shipped, plain(size=(600, 20))), 422, "unreadable")
    assert (
        body["reason"] == "too_small"
        and body["advice"]
        and body["model_used"].startswith("caliper-")
    )


def test_classify_uses_the_caliper_even_if_the_reader_is_another_model(
    server: FlaskClient,
) -> None:
    body = succeeded(server, post(server, photo(SAMPLES[0])))
    assert body["predicted_class"] == SAMPLES[0]["keyway"] and body["model_used"].startswith(
        "caliper-"
    )


@pytest.mark.parametrize(("colour", "label"), [(RED, "red"), (GREEN, "green"), (BLUE, "blue")])
def test_classify_with_a_named_model_uses_that_classifier(
    server: FlaskClient, colour: tuple[int, int, int], label: str, settings: Settings
) -> None:
    body = succeeded(server, post(server, plain(colour), "?model=colours"))
    assert (body["predicted_class"], body["model_used"]) == (label, "colours-1.0.0")
    assert tuple(body["all_probabilities"]) == LABELS
    line = next(
        line
        for line in map(json.loads, log_text(settings.logs).splitlines())
        if line.get("route") == PATH
    )
    assert (line["route"], line["status"], line["model"]) == (PATH, 200, "colours-1.0.0")


def as_form(data: bytes) -> dict[str, Any]:
    """Return a request with the photo in a form, as phones send it."""
    return {
        "data": {"image": (io.BytesIO(data), "photo.jpg"), "command": "predict", "zipcode": "12345"}
    }


def as_json(data: bytes) -> dict[str, Any]:
    """Return a request with the photo in JSON, as notebooks send it."""
    return {"json": {"image_data": base64.b64encode(data).decode(), "format": "base64"}}


def as_body(data: bytes) -> dict[str, Any]:
    """Return a request with the photo as its body, as curl sends it."""
    return {"data": data, "content_type": "image/jpeg"}


@pytest.mark.parametrize("encode", [as_form, as_json, as_body])
def test_classify_accepts_every_encoding_of_a_photo(
    server: FlaskClient, encode: Callable[[bytes], dict[str, Any]]
) -> None:
    body = succeeded(server, server.post(f"{PATH}?model=colours", **encode(plain(GREEN))))
    assert body["predicted_class"] == "green"


@pytest.mark.parametrize(
    "name",
    [
        "gone",
        ".",
        "..",
        "../models/colours",
        "..%2Fmodels%2Fcolours",
        "colours/",
        "./colours",
        "colours%00",
        "colours%0A",
        "%2Fetc",
        "c" * 65,
    ],
)
def test_classify_with_an_unknown_model_name_returns_404(
    server: FlaskClient, name: str, tmp_path: Path
) -> None:
    response = post(server, plain(), f"?model={name}")
    failed(server, response, 404, "not_found")
    assert str(tmp_path) not in response.text and "colours" not in response.text


@pytest.mark.parametrize("name", ["caliper", "notes"])
def test_classify_with_a_model_of_another_kind_returns_400(server: FlaskClient, name: str) -> None:
    failed(server, post(server, plain(), f"?model={name}"), 400, "bad_request")


def with_altered_network(folder: Path) -> None:
    """Make a classifier whose network does not have the hash in its manifest."""
    make_classifier(folder)
    Net(ends="Softmax").write(folder / "net.onnx")


def with_linked_network(folder: Path) -> None:
    """Make a classifier whose network is a link to a file outside its folder."""
    make_classifier(folder)
    (folder / "net.onnx").rename(folder.parent / "net.onnx")
    (folder / "net.onnx").symlink_to(folder.parent / "net.onnx")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "altered file": with_altered_network,
    "link out of the folder": with_linked_network,
    "external weights": lambda folder: make_classifier(folder, Net(weights_at="/etc/hostname")),
    "labels missing": lambda folder: make_classifier(folder, labels=None),
    "one label too few": lambda folder: make_classifier(folder, labels=["red", "green"]),
    "one label too many": lambda folder: make_classifier(folder, labels=[*LABELS, "black"]),
    "other input size": lambda folder: make_classifier(folder, preprocessing_changes={"width": 9}),
    "output without probabilities": lambda folder: make_classifier(folder, gives="probabilities"),
    "truncated manifest": lambda folder: (make_classifier(folder) / "manifest.toml").write_text(
        'kind = "onnx-classifier'
    ),
}


@pytest.mark.parametrize("fault", DAMAGE)
def test_classify_with_a_damaged_model_returns_500_and_logs_the_reason(
    server: FlaskClient, models: Path, settings: Settings, fault: str
) -> None:
    DAMAGE[fault](models / "broken")
    response = post(server, plain(), "?model=broken")
    failed(server, response, 500, "internal")
    assert "onnx" not in response.text and str(models) not in response.text
    lines = [json.loads(line) for line in log_text(settings.logs).splitlines()]
    (line,) = [line for line in lines if line["event"] == "classifier_unusable"]
    assert line["model"] == "broken" and line["reason"] and str(models) not in str(line)
    assert succeeded(server, post(server, plain(), "?model=colours"))["predicted_class"] == "red"


def test_non_finite_output_of_a_classifier_fails_only_that_photo(
    server: FlaskClient, models: Path
) -> None:
    """Send a black photo, for which the network computes the logarithm of zero."""
    make_classifier(models / "frail", Net(ends="Log"))
    failed(server, post(server, plain((0, 0, 0), "PNG"), "?model=frail"), 500, "internal")
    assert (
        succeeded(server, post(server, plain((200, 90, 90), "PNG"), "?model=frail"))[
            "predicted_class"
        ]
        == "red"
    )


PICTURES: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "no_image"),
    "PDF": (b"%PDF-1.7\n1 0 obj", 415, "unsupported_image_type"),
    "truncated": (plain(size=(400, 300))[:900], 400, "bad_image"),
    "400 megapixels": (png(20_000, 20_000), 413, "image_too_large"),
    "too many bytes": (bytes(16_000_000), 413, "image_too_large"),
}


@pytest.mark.parametrize("query", ["", "?model=colours"])
@pytest.mark.parametrize("kind", PICTURES)
def test_classify_with_a_bad_picture_fails(server: FlaskClient, kind: str, query: str) -> None:
    data, status, code = PICTURES[kind]
    failed(server, post(server, data, query), status, code)


def test_classify_with_a_bad_request_fails(server: FlaskClient) -> None:
    failed(server, server.post(PATH), 400, "no_image")
    failed(server, server.post(PATH, data={"zipcode": "12345"}), 400, "no_image")
    failed(server, server.post(PATH, json={"image_data": "not base64 at all!"}), 400, "bad_image")
    failed(
        server,
        server.post(PATH, data=b"hello", content_type="text/plain"),
        415,
        "unsupported_image_type",
    )
    assert server.get(PATH).status_code == 405


def test_classify_without_a_token_is_refused_whatever_the_model_name(
    settings: Settings, model: Load, models: Path
) -> None:
    chosen = settings.model_copy(update={"api_key": SecretStr("s3cret-token"), "models": models})
    guarded = create_app(chosen, load=model).test_client()
    for query in ("", "?model=gone", "?model=caliper", "?model=colours"):
        failed(guarded, post(guarded, plain(), query), 401, "unauthorized")
    assert (
        succeeded(
            guarded, post(guarded, plain(), "?model=colours", headers={"X-API-Key": "s3cret-token"})
        )["predicted_class"]
        == "red"
    )


def test_classify_is_refused_if_the_queue_of_photos_is_full(
    settings: Settings, model: Load, models: Path
) -> None:
    chosen = settings.model_copy(update={"queue": 1, "threads": 1, "models": models})
    service = Service(chosen, load=model)
    service.load()
    client = service.app.test_client()
    with service.slots.admit(2):
        refused = post(client, plain(), "?model=colours")
        failed(client, refused, 503, "overloaded")
        assert int(refused.headers["Retry-After"]) >= 1
    succeeded(client, post(client, plain(), "?model=colours"))
    service.close()
    failed(client, post(client, plain(), "?model=colours"), 503, "model_loading")


def test_classify_past_the_deadline_returns_504(server: FlaskClient) -> None:
    failed(
        server,
        post(server, plain(), "?model=colours", headers={"X-Request-Timeout": "1e-9"}),
        504,
        "deadline_exceeded",
    )
    failed(
        server,
        post(server, plain(), "?model=colours", headers={"X-Request-Timeout": "soon"}),
        400,
        "bad_request",
    )


def test_classify_before_the_model_is_loaded_returns_503(settings: Settings, models: Path) -> None:
    client = create_app(settings.model_copy(update={"models": models}), loaded=False).test_client()
    refused = post(client, plain())
    failed(client, refused, 503, "model_loading")
    assert refused.headers["Retry-After"]


def test_classify_does_not_use_the_cache(server: FlaskClient) -> None:
    for _ in range(3):
        succeeded(server, post(server, plain(), "?model=colours"))
    stats = server.get("/cache/stats").get_json()
    assert (stats["hits"], stats["misses"], stats["entries"]) == (0, 0, 0)
