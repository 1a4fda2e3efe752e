"""POST /predict/batch: answers in order, each its own success or failure, within limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from keylike.images.photo import Photo
from keylike.readers.contract import Reading, Unreadable
from keylike.service import Load, Service, batch_limit, create_app
from keylike.settings import Settings
from tests.contract import check_described
from tests.fakes import ColourReader
from tools.fuzzing.forms import form
from tools.plain_pictures import BLUE, GREEN, RED, plain


def shots(count: int, colour: tuple[int, int, int] = RED) -> list[bytes]:
    """Photos of one colour, no two the same."""
    return [plain(colour, size=(60 + at, 40)) for at in range(count)]


def post(
    client: FlaskClient, photos: Sequence[bytes], field: str = "image", **more: Any
) -> TestResponse:
    """A form with a part for each photo."""
    fields = more.pop("fields", {})
    path = more.pop("path", "/predict/batch")
    return client.post(path, **form(*fields.items(), *((field, photo) for photo in photos)), **more)


def described(client: FlaskClient, response: TestResponse) -> dict[str, Any]:
    """The body, held against the document."""
    return check_described(client, response, "/predict/batch", "post")


def failed(client: FlaskClient, response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The body of a failure of the whole request."""
    body = described(client, response)
    assert (response.status_code, body["success"], body["code"]) == (status, False, code)
    return body


def test_answers_come_in_order(client: FlaskClient) -> None:
    photos = [plain(RED), plain(GREEN), plain(BLUE), plain(GREEN, size=(80, 80)), plain(RED, "PNG")]
    response = post(client, photos, fields={"zipcode": "12345", "command": "predict"})
    body = described(client, response)
    assert (response.status_code, body["success"]) == (200, True)
    told = [each.get("bitting") or each["code"] for each in body["results"]]
    assert told == ["2,5,4,7,3", "1,1,1,1,1", "unreadable", "1,1,1,1,1", "2,5,4,7,3"]
    assert {each["zipcode"] for each in body["results"] if each["success"]} == {"12345"}
    assert (
        {each["request_id"] for each in body["results"]}
        == {body["request_id"]}
        == {response.headers["X-Request-Id"]}
    )


def test_each_answer_is_what_the_photo_alone_would_get(client: FlaskClient) -> None:
    """But for what differs from request to request."""
    pictures = [plain(RED), plain(BLUE), b"%PDF", b"", b"\xff\xd8\xff"]
    own = {"request_id", "processing_ms", "cached"}
    together = described(client, post(client, pictures))["results"]
    for picture, part in zip(pictures, together, strict=True):
        alone = client.post("/predict", **form(("image", picture))).get_json()
        assert {name: part[name] for name in part if name not in own} == {
            name: alone[name] for name in alone if name not in own
        }
        assert part.keys() == alone.keys()


@pytest.mark.parametrize("bad", [b"", b"%PDF", b"\xff\xd8\xff", plain()[:300]])
def test_one_bad_photo_of_thirty_two_leaves_thirty_one_answers(
    client: FlaskClient, bad: bytes
) -> None:
    photos = shots(32)
    photos[13] = bad
    results = described(client, post(client, photos))["results"]
    assert [each["success"] for each in results] == [at != 13 for at in range(32)]
    assert results[13]["code"] in ("no_image", "bad_image", "unsupported_image_type")


class Frail(ColourReader):
    """Breaks down over green photos."""

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Reads, or not."""
        if any(photo.pixels[0, 0, 1] > 150 for photo in photos):
            raise RuntimeError("canary of a library")
        return super().read(photos)


@pytest.fixture
def frail(settings: Settings) -> Iterator[FlaskClient]:
    """An application with that reader."""
    with Service(settings, load=Frail) as service:
        service.load()
        yield service.app.test_client()


def test_a_crash_is_the_failure_of_its_photo_and_is_logged(
    frail: FlaskClient, settings: Settings
) -> None:
    response = post(frail, [*shots(2), plain(GREEN), *shots(2)])
    results = described(frail, response)["results"]
    assert [each.get("code") for each in results] == [None, None, "internal", None, None]
    assert "canary" not in response.text
    assert '"event": "crash"' in (settings.logs / "api.log").read_text()


def test_the_same_photo_many_times_is_read_once(client: FlaskClient) -> None:
    results = described(client, post(client, [plain()] * 32))["results"]
    assert sorted(each["cached"] for each in results) == [False] + [True] * 31
    assert not any(
        each["cached"]
        for each in described(
            client, post(client, [plain()], headers={"Cache-Control": "no-cache"})
        )["results"]
    )


def test_no_photo(client: FlaskClient) -> None:
    failed(client, post(client, []), 400, "no_image")
    failed(client, post(client, [plain()], field="picture"), 400, "no_image")
    failed(client, client.post("/predict/batch"), 400, "no_image")


def test_more_than_thirty_two(client: FlaskClient) -> None:
    assert failed(client, post(client, shots(33)), 400, "bad_request")["details"] == {
        "max_photos": 32
    }


@pytest.mark.parametrize("fields", [{"zipcode": "1234"}, {"command": "delete"}])
def test_bad_fields(client: FlaskClient, fields: dict[str, str]) -> None:
    failed(
        client,
        post(client, [plain()], fields=fields),
        400,
        "bad_zipcode" if "zipcode" in fields else "bad_request",
    )


@pytest.mark.parametrize(
    "kind", ["image/jpeg", "application/json", "application/x-www-form-urlencoded", "text/plain"]
)
def test_anything_but_a_form(client: FlaskClient, kind: str) -> None:
    failed(
        client,
        client.post("/predict/batch", data=plain(), content_type=kind),
        415,
        "unsupported_image_type",
    )


def test_thirty_two_captures_fit_and_the_whole_is_bounded(
    client: FlaskClient, settings: Settings
) -> None:
    """Bytes behind the end of a JPEG are no part of the picture."""
    capture = batch_limit(settings) // 32 - 4000
    assert capture > 1_200_000, "a phone's capture takes a quarter of a megabyte"
    padded = [photo + bytes(capture - len(photo)) for photo in shots(32)]
    assert all(each["success"] for each in described(client, post(client, padded))["results"])
    failed(
        client, post(client, [photo + bytes(20_000) for photo in padded]), 413, "image_too_large"
    )


def test_one_photo_of_a_batch_may_be_as_large_as_one_alone(
    client: FlaskClient, settings: Settings
) -> None:
    results = described(client, post(client, [plain() + bytes(settings.max_bytes), plain()]))[
        "results"
    ]
    assert [each.get("code") for each in results] == ["image_too_large", None]


def test_the_limit_for_one_photo_stays(client: FlaskClient) -> None:
    assert post(client, [bytes(16_000_000)], path="/predict").status_code == 413


def test_a_batch_that_finds_no_room_is_refused_as_a_whole(
    client: FlaskClient, app: Any, settings: Settings, model: Load
) -> None:
    service = Service(settings.model_copy(update={"queue": 1, "threads": 1}), load=model)
    service.load()
    full = service.app.test_client()
    assert post(full, shots(32)).status_code == 200, "nobody else is there"
    with service.slots.admit(1):
        refused = post(full, shots(2))
        failed(full, refused, 503, "overloaded")
        assert int(refused.headers["Retry-After"]) >= 1
    service.close()


def test_over_the_deadline_each_photo_says_so(client: FlaskClient) -> None:
    results = described(client, post(client, shots(3), headers={"X-Request-Timeout": "1e-9"}))[
        "results"
    ]
    assert [each["code"] for each in results] == ["deadline_exceeded"] * 3
    failed(
        client, post(client, shots(1), headers={"X-Request-Timeout": "soon"}), 400, "bad_request"
    )


def test_it_asks_for_the_token_where_one_photo_does(settings: Settings, model: Load) -> None:
    guarded = create_app(
        settings.model_copy(update={"api_key": SecretStr("s3cret-token")}), load=model
    ).test_client()
    failed(guarded, post(guarded, shots(1)), 401, "unauthorized")
