"""POST /classify/image over HTTP: families by the shipped caliper, classes of any ONNX classifier by its name, and plain failures."""

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
from tools.plain_pictures import BLUE, GREEN, RED, plain, png

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = [
    json.loads(line) for line in (ROOT / "samples" / "labels.jsonl").read_text().splitlines()
]
PATH = "/classify/image"


def photo(sample: dict[str, Any]) -> bytes:
    """A shipped photo."""
    data: bytes = (ROOT / "samples" / sample["file"]).read_bytes()
    return data


def post(client: FlaskClient, data: bytes, query: str = "", **more: Any) -> TestResponse:
    """As the body itself."""
    return client.post(PATH + query, data=data, content_type="image/jpeg", **more)


def told(client: FlaskClient, response: TestResponse) -> dict[str, Any]:
    """The body of a success, held against the document and against itself."""
    body = check_described(client, response, PATH, "post")
    assert response.status_code == 200, body
    shares = body["all_probabilities"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-9)
    assert body["confidence"] == max(shares.values()) == shares[body["predicted_class"]]
    assert body["request_id"] == response.headers["X-Request-Id"]
    return body


def failed(client: FlaskClient, response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The body of a failure."""
    body = check_described(client, response, PATH, "post")
    assert (response.status_code, body["success"], body["code"]) == (status, False, code)
    return body


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The shipped caliper, a classifier of colours, and a folder that is neither."""
    home = tmp_path / "models"
    make_classifier(home / "colours")
    (home / "caliper").symlink_to(ROOT / "models" / "caliper")
    (home / "notes").mkdir()
    return home


@pytest.fixture
def house(settings: Settings, model: Load, models: Path) -> Iterator[FlaskClient]:
    """An application whose own reader is no caliper."""
    chosen = settings.model_copy(update={"models": models})
    with Service(chosen, load=model) as service:
        service.load()
        yield service.app.test_client()


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """The application as it is started without any settings."""
    chosen = Settings(logs=tmp_path_factory.mktemp("logs"))
    with Service(chosen) as service:
        service.load()
        yield service.app.test_client()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["file"])
def test_the_family_of_every_sample(shipped: FlaskClient, sample: dict[str, Any]) -> None:
    body = told(shipped, post(shipped, photo(sample)))
    assert tuple(body["all_probabilities"]) == KINDS
    assert body["predicted_class"] == sample["keyway"]
    assert body["model_used"].startswith("caliper-")


def test_without_a_key_none_is_likely_and_not_certain(shipped: FlaskClient) -> None:
    body = told(shipped, post(shipped, plain(size=(640, 480))))
    assert body["predicted_class"] == "none" and body["confidence"] < 0.9


def test_a_picture_too_small_for_any_key_is_refused_with_advice(shipped: FlaskClient) -> None:
    body = failed(shipped, post(shipped, plain(size=(600, 20))), 422, "unreadable")
    assert (
        body["reason"] == "too_small"
        and body["advice"]
        and body["model_used"].startswith("caliper-")
    )


def test_the_caliper_tells_the_family_where_another_model_reads(house: FlaskClient) -> None:
    body = told(house, post(house, photo(SAMPLES[0])))
    assert body["predicted_class"] == SAMPLES[0]["keyway"] and body["model_used"].startswith(
        "caliper-"
    )


@pytest.mark.parametrize(("colour", "label"), [(RED, "red"), (GREEN, "green"), (BLUE, "blue")])
def test_any_onnx_classifier_by_its_name(
    house: FlaskClient, colour: tuple[int, int, int], label: str, settings: Settings
) -> None:
    body = told(house, post(house, plain(colour), "?model=colours"))
    assert (body["predicted_class"], body["model_used"]) == (label, "colours-1.0.0")
    assert tuple(body["all_probabilities"]) == LABELS
    line = next(
        line
        for line in map(json.loads, (settings.logs / "api.log").read_text().splitlines())
        if line.get("route") == PATH
    )
    assert (line["route"], line["status"], line["model"]) == (PATH, 200, "colours-1.0.0")


def as_form(data: bytes) -> dict[str, Any]:
    """A form, as phones send it."""
    return {
        "data": {"image": (io.BytesIO(data), "photo.jpg"), "command": "predict", "zipcode": "12345"}
    }


def as_json(data: bytes) -> dict[str, Any]:
    """JSON, as notebooks do."""
    return {"json": {"image_data": base64.b64encode(data).decode(), "format": "base64"}}


def as_body(data: bytes) -> dict[str, Any]:
    """The picture alone, as curl does."""
    return {"data": data, "content_type": "image/jpeg"}


@pytest.mark.parametrize("way", [as_form, as_json, as_body])
def test_all_three_ways_to_send_a_photo(
    house: FlaskClient, way: Callable[[bytes], dict[str, Any]]
) -> None:
    body = told(house, house.post(f"{PATH}?model=colours", **way(plain(GREEN))))
    assert body["predicted_class"] == "green"


@pytest.mark.parametrize(
    "name",
    [
        "",
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
def test_names_that_lead_nowhere(house: FlaskClient, name: str, tmp_path: Path) -> None:
    response = post(house, plain(), f"?model={name}")
    failed(house, response, 404, "not_found")
    assert str(tmp_path) not in response.text and "colours" not in response.text


@pytest.mark.parametrize("name", ["caliper", "notes"])
def test_models_that_are_no_classifiers(house: FlaskClient, name: str) -> None:
    failed(house, post(house, plain(), f"?model={name}"), 400, "bad_request")


def altered(folder: Path) -> None:
    """Another network than the one with this hash."""
    make_classifier(folder)
    Net(ends="Softmax").write(folder / "net.onnx")


def linked(folder: Path) -> None:
    """The network is not in its folder."""
    make_classifier(folder)
    (folder / "net.onnx").rename(folder.parent / "net.onnx")
    (folder / "net.onnx").symlink_to(folder.parent / "net.onnx")


BROKEN: dict[str, Callable[[Path], object]] = {
    "altered file": altered,
    "link out of the folder": linked,
    "weights elsewhere": lambda folder: make_classifier(folder, Net(weights_at="/etc/hostname")),
    "labels missing": lambda folder: make_classifier(folder, labels=None),
    "one label too few": lambda folder: make_classifier(folder, labels=["red", "green"]),
    "one label too many": lambda folder: make_classifier(folder, labels=[*LABELS, "black"]),
    "other input size": lambda folder: make_classifier(folder, how={"width": 9}),
    "no probabilities": lambda folder: make_classifier(folder, gives="probabilities"),
    "manifest cut short": lambda folder: (make_classifier(folder) / "manifest.toml").write_text(
        'kind = "onnx-classifier'
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_folder_is_the_servers_fault_and_only_the_log_says_what(
    house: FlaskClient, models: Path, settings: Settings, fault: str
) -> None:
    BROKEN[fault](models / "broken")
    response = post(house, plain(), "?model=broken")
    failed(house, response, 500, "internal")
    assert "onnx" not in response.text and str(models) not in response.text
    lines = [json.loads(line) for line in (settings.logs / "api.log").read_text().splitlines()]
    (line,) = [line for line in lines if line["event"] == "classifier_unusable"]
    assert line["model"] == "broken" and line["reason"] and str(models) not in str(line)
    assert told(house, post(house, plain(), "?model=colours"))["predicted_class"] == "red"


def test_numbers_that_are_none_are_a_failure_of_that_photo_alone(
    house: FlaskClient, models: Path
) -> None:
    """The logarithm of nothing: a photo without any red, green and blue in it."""
    make_classifier(models / "frail", Net(ends="Log"))
    failed(house, post(house, plain((0, 0, 0), "PNG"), "?model=frail"), 500, "internal")
    assert (
        told(house, post(house, plain((200, 90, 90), "PNG"), "?model=frail"))["predicted_class"]
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
def test_what_is_no_photo(house: FlaskClient, kind: str, query: str) -> None:
    data, status, code = PICTURES[kind]
    failed(house, post(house, data, query), status, code)


def test_no_image_and_other_types(house: FlaskClient) -> None:
    failed(house, house.post(PATH), 400, "no_image")
    failed(house, house.post(PATH, data={"zipcode": "12345"}), 400, "no_image")
    failed(house, house.post(PATH, json={"image_data": "not base64 at all!"}), 400, "bad_image")
    failed(
        house,
        house.post(PATH, data=b"hello", content_type="text/plain"),
        415,
        "unsupported_image_type",
    )
    assert house.get(PATH).status_code == 405


def test_it_asks_for_the_token_before_it_looks_at_anything(
    settings: Settings, model: Load, models: Path
) -> None:
    chosen = settings.model_copy(update={"api_key": SecretStr("s3cret-token"), "models": models})
    guarded = create_app(chosen, load=model).test_client()
    for query in ("", "?model=gone", "?model=caliper", "?model=colours"):
        failed(guarded, post(guarded, plain(), query), 401, "unauthorized")
    assert (
        told(
            guarded, post(guarded, plain(), "?model=colours", headers={"X-API-Key": "s3cret-token"})
        )["predicted_class"]
        == "red"
    )


def test_it_takes_a_place_in_the_same_queue(settings: Settings, model: Load, models: Path) -> None:
    chosen = settings.model_copy(update={"queue": 1, "threads": 1, "models": models})
    service = Service(chosen, load=model)
    service.load()
    client = service.app.test_client()
    with service.slots.admit(2):
        refused = post(client, plain(), "?model=colours")
        failed(client, refused, 503, "overloaded")
        assert int(refused.headers["Retry-After"]) >= 1
    told(client, post(client, plain(), "?model=colours"))
    service.close()
    failed(client, post(client, plain(), "?model=colours"), 503, "model_loading")


def test_it_keeps_to_the_deadline(house: FlaskClient) -> None:
    failed(
        house,
        post(house, plain(), "?model=colours", headers={"X-Request-Timeout": "1e-9"}),
        504,
        "deadline_exceeded",
    )
    failed(
        house,
        post(house, plain(), "?model=colours", headers={"X-Request-Timeout": "soon"}),
        400,
        "bad_request",
    )


def test_until_the_model_is_loaded_it_says_so(settings: Settings, models: Path) -> None:
    client = create_app(settings.model_copy(update={"models": models}), loaded=False).test_client()
    refused = post(client, plain())
    failed(client, refused, 503, "model_loading")
    assert refused.headers["Retry-After"]


def test_nothing_is_kept(house: FlaskClient) -> None:
    for _ in range(3):
        told(house, post(house, plain(), "?model=colours"))
    stats = house.get("/cache/stats").get_json()
    assert (stats["hits"], stats["misses"], stats["entries"]) == (0, 0, 0)
