"""Tests of POST /predict/batch: results in order, each a success or a failure, and limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from keylike.configuration import batch_limit
from keylike.images.photo import Photo
from keylike.readers.contract import Reading, Unreadable
from keylike.service import Load, Service, create_app
from keylike.settings import Settings
from tests.contract import check_described
from tests.fakes import ColourReader
from tests.log_text import log_text
from tools.fuzzing.forms import form
from tools.plain_pictures import BLUE, GREEN, RED, plain


def photos_of(count: int, colour: tuple[int, int, int] = RED) -> list[bytes]:
    """Return different photos of one colour: they differ in size."""
    return [plain(colour, size=(60 + at, 40)) for at in range(count)]


def post(
    client: FlaskClient, photos: Sequence[bytes], field: str = "image", **more: Any
) -> TestResponse:
    """Post a multipart form with one part for each photo."""
    fields = more.pop("fields", {})
    path = more.pop("path", "/predict/batch")
    return client.post(path, **form(*fields.items(), *((field, photo) for photo in photos)), **more)


def validated(client: FlaskClient, response: TestResponse) -> dict[str, Any]:
    """Return the body after validating it against the OpenAPI document."""
    return check_described(client, response, "/predict/batch", "post")


def failed(client: FlaskClient, response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """Return the body of a failed request after checking its status and code."""
    body = validated(client, response)
    assert (response.status_code, body["success"], body["code"]) == (status, False, code)
    return body


def test_batch_returns_results_in_order(client: FlaskClient) -> None:
    photos = [plain(RED), plain(GREEN), plain(BLUE), plain(GREEN, size=(80, 80)), plain(RED, "PNG")]
    response = post(client, photos, fields={"zipcode": "12345", "command": "predict"})
    body = validated(client, response)
    assert (response.status_code, body["success"]) == (200, True)
    outcomes = [each.get("bitting") or each["code"] for each in body["results"]]
    assert outcomes == ["2,5,4,7,3", "1,1,1,1,1", "unreadable", "1,1,1,1,1", "2,5,4,7,3"]
    assert {each["zipcode"] for each in body["results"] if each["success"]} == {"12345"}
    assert (
        {each["request_id"] for each in body["results"]}
        == {body["request_id"]}
        == {response.headers["X-Request-Id"]}
    )


def test_batch_result_equals_the_single_prediction(client: FlaskClient) -> None:
    """Compare all fields, except those that differ between any two requests."""
    pictures = [plain(RED), plain(BLUE), b"%PDF", b"", b"\xff\xd8\xff"]
    own = {"request_id", "processing_ms", "cached"}
    together = validated(client, post(client, pictures))["results"]
    for picture, part in zip(pictures, together, strict=True):
        single = client.post("/predict", **form(("image", picture))).get_json()
        assert {name: part[name] for name in part if name not in own} == {
            name: single[name] for name in single if name not in own
        }
        assert part.keys() == single.keys()


@pytest.mark.parametrize("bad", [b"", b"%PDF", b"\xff\xd8\xff", plain()[:300]])
def test_batch_with_one_bad_photo_reads_the_other_31_photos(
    client: FlaskClient, bad: bytes
) -> None:
    photos = photos_of(32)
    photos[13] = bad
    results = validated(client, post(client, photos))["results"]
    assert [each["success"] for each in results] == [at != 13 for at in range(32)]
    assert results[13]["code"] in ("no_image", "bad_image", "unsupported_image_type")


class CrashingReader(ColourReader):
    """A reader that crashes on green photos."""

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Return one result per photo, or crash."""
        if any(photo.pixels[0, 0, 1] > 150 for photo in photos):
            raise RuntimeError("canary of a library")
        return super().read(photos)


@pytest.fixture
def crashing(settings: Settings) -> Iterator[FlaskClient]:
    """Return a client of an application with a reader that crashes."""
    with Service(settings, load=CrashingReader) as service:
        service.load()
        yield service.app.test_client()


def test_batch_with_a_crash_fails_only_that_photo_and_logs_it(
    crashing: FlaskClient, settings: Settings
) -> None:
    response = post(crashing, [*photos_of(2), plain(GREEN), *photos_of(2)])
    results = validated(crashing, response)["results"]
    assert [each.get("code") for each in results] == [None, None, "internal", None, None]
    assert "canary" not in response.text
    assert '"event": "crash"' in log_text(settings.logs)


def test_identical_photos_in_a_batch_are_read_once(client: FlaskClient) -> None:
    results = validated(client, post(client, [plain()] * 32))["results"]
    assert sorted(each["cached"] for each in results) == [False] + [True] * 31
    assert not any(
        each["cached"]
        for each in validated(
            client, post(client, [plain()], headers={"Cache-Control": "no-cache"})
        )["results"]
    )


def test_batch_without_a_photo_fails(client: FlaskClient) -> None:
    failed(client, post(client, []), 400, "no_image")
    failed(client, post(client, [plain()], field="picture"), 400, "no_image")
    failed(client, client.post("/predict/batch"), 400, "no_image")


def test_batch_of_more_than_32_photos_fails(client: FlaskClient) -> None:
    assert failed(client, post(client, photos_of(33)), 400, "bad_request")["details"] == {
        "max_photos": 32
    }


@pytest.mark.parametrize("fields", [{"zipcode": "1234"}, {"command": "delete"}])
def test_batch_with_a_bad_field_fails(client: FlaskClient, fields: dict[str, str]) -> None:
    failed(
        client,
        post(client, [plain()], fields=fields),
        400,
        "bad_zipcode" if "zipcode" in fields else "bad_request",
    )


@pytest.mark.parametrize(
    "kind", ["image/jpeg", "application/json", "application/x-www-form-urlencoded", "text/plain"]
)
def test_batch_without_a_form_fails(client: FlaskClient, kind: str) -> None:
    failed(
        client,
        client.post("/predict/batch", data=plain(), content_type=kind),
        415,
        "unsupported_image_type",
    )


def test_batch_of_32_photos_fits_and_a_larger_body_is_refused(
    client: FlaskClient, settings: Settings
) -> None:
    """Check the body limit with padded photos: decoders ignore bytes after the end of a JPEG."""
    capture = batch_limit(settings) // 32 - 4000
    assert capture > 1_200_000, (
        "the limit must be well above 250 kB, the usual size of a photo from the web page"
    )
    padded = [photo + bytes(capture - len(photo)) for photo in photos_of(32)]
    assert all(each["success"] for each in validated(client, post(client, padded))["results"])
    failed(
        client, post(client, [photo + bytes(20_000) for photo in padded]), 413, "image_too_large"
    )


def test_photo_in_a_batch_has_the_size_limit_of_a_single_photo(
    client: FlaskClient, settings: Settings
) -> None:
    results = validated(client, post(client, [plain() + bytes(settings.max_bytes), plain()]))[
        "results"
    ]
    assert [each.get("code") for each in results] == ["image_too_large", None]


def test_predict_refuses_a_body_that_only_a_batch_may_have(client: FlaskClient) -> None:
    assert post(client, [bytes(16_000_000)], path="/predict").status_code == 413


def test_batch_in_a_full_queue_is_refused_as_a_whole(
    client: FlaskClient, app: Any, settings: Settings, model: Load
) -> None:
    service = Service(settings.model_copy(update={"queue": 1, "threads": 1}), load=model)
    service.load()
    full = service.app.test_client()
    assert post(full, photos_of(32)).status_code == 200, (
        "an empty queue must admit a batch of any size"
    )
    with service.slots.admit(1):
        refused = post(full, photos_of(2))
        failed(full, refused, 503, "overloaded")
        assert int(refused.headers["Retry-After"]) >= 1
    service.close()


def test_batch_past_the_deadline_returns_an_error_for_each_photo(client: FlaskClient) -> None:
    results = validated(client, post(client, photos_of(3), headers={"X-Request-Timeout": "1e-9"}))[
        "results"
    ]
    assert [each["code"] for each in results] == ["deadline_exceeded"] * 3
    failed(
        client,
        post(client, photos_of(1), headers={"X-Request-Timeout": "soon"}),
        400,
        "bad_request",
    )


def test_batch_without_token_is_refused(settings: Settings, model: Load) -> None:
    guarded = create_app(
        settings.model_copy(update={"api_key": SecretStr("s3cret-token")}), load=model
    ).test_client()
    failed(guarded, post(guarded, photos_of(1)), 401, "unauthorized")
