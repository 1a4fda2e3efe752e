"""Tests of unusual but valid requests: forms, JSON, compressed bodies, bodies without a type."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.contract import check_failure
from tools.plain_pictures import GREEN, plain

PHOTO = plain()
CODE, OTHER_CODE = "2,5,4,7,3", "1,1,1,1,1"
BASE64 = base64.b64encode(PHOTO).decode()
IMAGE = b'form-data; name="image"; filename="key.jpg"'
JPEG = b"Content-Type: image/jpeg"


def part(disposition: bytes, content: bytes = PHOTO, *headers: bytes) -> bytes:
    """Return one part of a multipart form: its headers and its content."""
    return b"\r\n".join([b"Content-Disposition: " + disposition, *headers]) + b"\r\n\r\n" + content


def post_form(
    client: FlaskClient,
    parts: list[bytes],
    *,
    path: str = "/predict",
    content_type: str = "multipart/form-data; boundary=limit",
    blanks: bytes = b"",
    **more: Any,
) -> Any:
    """Post a multipart form with these parts and with `blanks` after each delimiter."""
    body = b"".join(b"--limit" + blanks + b"\r\n" + each + b"\r\n" for each in parts)
    return client.post(
        path, data=body + b"--limit--" + blanks + b"\r\n", content_type=content_type, **more
    )


def bitting(response: Any) -> str:
    """Return the bitting in a successful response."""
    assert response.status_code == 200, response.get_data()
    return str(response.get_json()["bitting"])


FILES = {
    "only filename*": b"form-data; name=\"image\"; filename*=UTF-8''cl%C3%A9.jpg",
    "filename* before the name": b"form-data; filename*=UTF-8''cl%C3%A9.jpg; name=\"image\"",
    "filename in pieces": b'form-data; name="image"; filename*0="ke"; filename*1="y.jpg"',
    "high bytes in Latin-1": b'form-data; name="image"; filename="cl\xe9.jpg"',
    "high bytes in Shift JIS": b'form-data; name="image"; filename="\x8c\xae.jpg"',
    "invalid UTF-8": b'form-data; name="image"; filename="\xff\xfe.jpg"',
    "unquoted high bytes": b'form-data; name="image"; filename=\xe9.jpg',
    "unknown parameters": b'form-data; x-y=1; name="image"; size=12; filename="key.jpg"; foo*=x',
    "a parameter without value": b'form-data; name="image"; filename="key.jpg"; x; y=',
    "other case": b'form-data; Name="image"; FileName="KEY.JPG"',
    "no quotes": b"form-data; name=image; filename=key.jpg",
    "a semicolon in the name": b'form-data; name="image"; filename="a;filename=b.jpg"',
    "a list's name": b'form-data; name="image[]"; filename="key.jpg"',
    "an index": b'form-data; name="image[0]"; filename="key.jpg"',
    "the plural": b'form-data; name="images"; filename="key.jpg"',
}


@pytest.mark.parametrize("name", FILES)
def test_form_with_an_unusual_file_part_is_read(client: FlaskClient, name: str) -> None:
    assert bitting(post_form(client, [part(FILES[name], PHOTO, JPEG)])) == CODE
    assert bitting(post_form(client, [part(FILES[name])])) == CODE


@pytest.mark.parametrize(
    "content_type",
    [b"image/jpeg", b"image/HEIC", b"IMAGE/JPEG; charset=binary", b"application/octet-stream"],
)
def test_form_part_without_a_file_name_but_with_a_picture_type_is_read(
    client: FlaskClient, content_type: bytes
) -> None:
    picture = part(b'form-data; name="image"', PHOTO, b"Content-Type: " + content_type)
    assert bitting(post_form(client, [picture])) == CODE


@pytest.mark.parametrize(
    "disposition",
    [b'form-data; name="photo"; filename="key.jpg"', b'form-data; name="imagex"; filename="a"'],
)
def test_form_file_with_another_field_name_is_ignored(
    client: FlaskClient, disposition: bytes
) -> None:
    response = post_form(client, [part(disposition, PHOTO, JPEG)])
    check_failure(client, response, 400, "no_image")


def test_form_field_with_a_content_type_is_not_taken_for_a_file(client: FlaskClient) -> None:
    for content_type in (b"application/octet-stream", b"text/plain; charset=utf-8"):
        field = part(b'form-data; name="zipcode"', b"12345", b"Content-Type: " + content_type)
        assert post_form(client, [field, part(IMAGE)]).get_json()["zipcode"] == "12345"


def test_empty_file_inputs_before_the_picture_are_skipped(client: FlaskClient) -> None:
    octets = b"Content-Type: application/octet-stream"
    empty = part(b'form-data; name="image"; filename=""', b"", octets)
    named = part(IMAGE, b"", JPEG)
    for first in (empty, named, part(b'form-data; name="image"', b"", octets)):
        assert bitting(post_form(client, [first, part(IMAGE, PHOTO, JPEG)])) == CODE
    check_failure(client, post_form(client, [empty]), 400, "no_image")
    check_failure(client, post_form(client, [named]), 400, "no_image")


def test_form_with_two_pictures_reads_the_first(client: FlaskClient) -> None:
    parts = [part(IMAGE, plain(GREEN)), part(IMAGE.replace(b"image", b"images", 1))]
    assert bitting(post_form(client, parts)) == OTHER_CODE


@pytest.mark.parametrize("name", [b"image", b"images", b"image[]", b"images[]", b"image[%d]"])
def test_batch_form_accepts_field_names_with_plural_brackets_and_index(
    client: FlaskClient, name: bytes
) -> None:
    numbered = [name % at if b"%" in name else name for at in range(2)]
    parts = [
        part(b'form-data; name="' + each + b'"; filename="a.jpg"', picture, JPEG)
        for each, picture in zip(numbered, [PHOTO, plain(GREEN)], strict=True)
    ]
    results = post_form(client, parts, path="/predict/batch").get_json()["results"]
    assert [each["bitting"] for each in results] == [CODE, OTHER_CODE]


def test_batch_form_skips_empty_inputs_and_keeps_empty_files(client: FlaskClient) -> None:
    parts = [
        part(b'form-data; name="image"; filename=""', b""),
        part(IMAGE, b""),
        part(IMAGE),
    ]
    results = post_form(client, parts, path="/predict/batch").get_json()["results"]
    assert [each.get("bitting") or each["code"] for each in results] == ["no_image", CODE]


@pytest.mark.parametrize("blanks", [b" ", b"\t", b"  \t ", b" " * 200])
def test_form_with_blanks_after_its_delimiters_is_read(client: FlaskClient, blanks: bytes) -> None:
    field = part(b'form-data; name="zipcode"', b"12345")
    response = post_form(client, [field, part(IMAGE, PHOTO, JPEG)], blanks=blanks)
    assert (bitting(response), response.get_json()["zipcode"]) == (CODE, "12345")


def test_form_content_that_resembles_a_delimiter_with_blanks_is_kept(client: FlaskClient) -> None:
    """Send content like a delimiter with blanks, but without the line break that must follow."""
    comment = b"\xff\xfe\0\x1c\r\n--limi \r\n\n--limit \r\n--lim"
    picture = PHOTO[:2] + comment + PHOTO[2:]
    assert bitting(post_form(client, [part(IMAGE, picture, JPEG)], blanks=b" ")) == CODE


@pytest.mark.parametrize("value", ["", "; boundary=", '; boundary=""', "; charset=utf-8"])
def test_form_without_a_boundary_gets_an_error_that_names_the_boundary(
    client: FlaskClient, value: str
) -> None:
    for path in ("/predict", "/predict/batch"):
        response = post_form(
            client, [part(IMAGE)], content_type="multipart/form-data" + value, path=path
        )
        assert "boundary" in check_failure(client, response, 400, "bad_request")["error"]


def test_empty_optional_fields_count_as_missing(client: FlaskClient) -> None:
    fields = [part(b'form-data; name="%s"' % name, b"") for name in (b"zipcode", b"command")]
    responses = [
        post_form(client, [*fields, part(IMAGE)]),
        post_form(client, [*fields, part(IMAGE)], query_string={"zipcode": "", "x": "1"}),
        client.post("/predict?zipcode=", data=PHOTO, content_type="image/jpeg"),
        client.post(
            "/predict", json={"image_data": BASE64, "zipcode": "", "format": "", "command": ""}
        ),
        client.post(
            "/predict",
            json={"image_data": BASE64, "zipcode": None, "format": None, "command": None},
        ),
    ]
    assert [response.get_json().get("zipcode") for response in responses] == ["00000"] * 5
    empty_field = post_form(client, [*fields, part(IMAGE)], query_string={"zipcode": "12345"})
    assert empty_field.get_json()["zipcode"] == "12345"
    batch = post_form(client, [*fields, part(IMAGE)], path="/predict/batch")
    assert batch.get_json()["results"][0]["zipcode"] == "00000"
    classified = client.post("/classify/image?model=", data=PHOTO, content_type="image/jpeg")
    assert classified.status_code == 200


UNTYPED: dict[str, tuple[bytes, str]] = {
    "a picture": (PHOTO, CODE),
    "a PNG": (plain(kind="PNG"), CODE),
    "JSON": (json.dumps({"image_data": BASE64}).encode(), CODE),
    "JSON with a byte order mark": (
        b"\xef\xbb\xbf\r\n " + json.dumps({"image_data": BASE64}).encode(),
        CODE,
    ),
}


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=UTF-8",
        "text/plain",
        "binary/octet-stream",
    ],
)
@pytest.mark.parametrize("name", UNTYPED)
def test_body_without_a_useful_content_type_is_read_by_its_content(
    client: FlaskClient, name: str, content_type: str | None
) -> None:
    body, expected = UNTYPED[name]
    assert bitting(client.post("/predict", data=body, content_type=content_type)) == expected


def test_body_that_is_not_a_picture_gets_an_error_about_its_content_type(
    client: FlaskClient,
) -> None:
    for content_type, status, code in (
        ("application/x-www-form-urlencoded", 400, "no_image"),
        (None, 400, "no_image"),
        ("text/plain", 415, "unsupported_image_type"),
    ):
        response = client.post("/predict", data=b"a=b", content_type=content_type)
        assert "Content-Type" in check_failure(client, response, status, code)["error"]


def gzipped(body: bytes) -> dict[str, Any]:
    """Return the arguments of a request with a gzip body."""
    return {"data": gzip.compress(body), "headers": {"Content-Encoding": "gzip"}}


def test_gzip_body_is_inflated_for_every_kind_of_request(client: FlaskClient) -> None:
    form = b"--limit\r\n" + part(IMAGE) + b"\r\n--limit--\r\n"
    multipart = "multipart/form-data; boundary=limit"
    body = json.dumps({"image_data": BASE64}).encode()
    for data, content_type in (
        (PHOTO, "image/jpeg"),
        (body, "application/json"),
        (form, multipart),
    ):
        response = client.post("/predict", content_type=content_type, **gzipped(data))
        assert bitting(response) == CODE
    response = client.post("/predict/batch", content_type=multipart, **gzipped(form))
    assert response.get_json()["results"][0]["bitting"] == CODE


@pytest.mark.parametrize("encoding", ["GZIP", "x-gzip", "identity, gzip", "gzip, "])
def test_content_encoding_gzip_is_accepted_in_other_spellings(
    client: FlaskClient, encoding: str
) -> None:
    response = client.post(
        "/predict",
        data=gzip.compress(PHOTO),
        content_type="image/jpeg",
        headers={"Content-Encoding": encoding},
    )
    assert bitting(response) == CODE


def test_identity_encoding_is_accepted(client: FlaskClient) -> None:
    for encoding in ("identity", "", "Identity"):
        response = client.post(
            "/predict",
            data=PHOTO,
            content_type="image/jpeg",
            headers={"Content-Encoding": encoding},
        )
        assert bitting(response) == CODE


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "compress", "gzip, gzip"])
def test_other_content_encoding_is_refused_with_its_name(
    client: FlaskClient, encoding: str
) -> None:
    for path, content_type in (
        ("/predict", "image/jpeg"),
        ("/predict", "application/json"),
        ("/predict", None),
        ("/predict/batch", "multipart/form-data; boundary=b"),
    ):
        response = client.post(
            path, data=PHOTO, content_type=content_type, headers={"Content-Encoding": encoding}
        )
        error = check_failure(client, response, 415, "unsupported_image_type")["error"]
        assert f"Content-Encoding {encoding}" in error
        assert response.headers["Accept-Encoding"] == "gzip"


def test_damaged_gzip_body_is_a_bad_request(client: FlaskClient) -> None:
    whole = gzip.compress(PHOTO)
    for data in (b"x", whole[:-9], PHOTO, whole + whole, whole + b"more"):
        response = client.post(
            "/predict",
            data=data,
            content_type="image/jpeg",
            headers={"Content-Encoding": "gzip"},
        )
        assert "gzip" in check_failure(client, response, 400, "bad_request")["error"]


@pytest.mark.parametrize("size", [16_000_000, 100_000_000])
def test_gzip_body_above_the_body_limit_is_refused(client: FlaskClient, size: int) -> None:
    response = client.post("/predict", content_type="image/jpeg", **gzipped(bytes(size)))
    check_failure(client, response, 413, "image_too_large")


NOTE = ", ".join('a "quoted", \\ {bracketed} [word]' for _ in range(500))


@pytest.mark.parametrize(
    "more",
    [
        {"note": NOTE},
        {"tags": [str(at) for at in range(5000)]},
        {"boxes": [{"x": at, "y": [at, at]} for at in range(200)]},
        {"exif": {f"tag {at}": at for at in range(3000)}},
    ],
    ids=["a note", "a list", "boxes", "metadata"],
)
def test_json_with_many_other_values_is_read(client: FlaskClient, more: dict[str, Any]) -> None:
    for body in ({"image_data": BASE64, **more}, {**more, "image_data": BASE64}):
        assert bitting(client.post("/predict", json=body)) == CODE


@pytest.mark.parametrize(
    "text",
    [
        '{"x": "' + '\\"' * 3 + '", "y": [' + "0," * 20_000 + "0]",
        '{"x": [' + "[" * 5000 + "]" * 5000 + "]",
        '{"x": "\\\\", "y": [' + "{}," * 20_000 + "0]",
        '{"x": [' + '"",' * 50_000 + "0]",
    ],
    ids=["values", "nested", "objects", "strings"],
)
def test_json_with_too_many_values_is_refused(client: FlaskClient, text: str) -> None:
    whole = f'{text}, "image_data": "{BASE64}"}}'
    response = client.post("/predict", data=whole, content_type="application/json")
    check_failure(client, response, 400, "bad_request")


def test_deeply_nested_json_is_read_or_refused(client: FlaskClient) -> None:
    """Accept both results for deep JSON: the depth limit depends on the version of Python."""
    for depth in (50, 500, 990):
        text = f'{{"x": {"[" * depth}{"]" * depth}, "image_data": "{BASE64}"}}'
        response = client.post("/predict", data=text, content_type="application/json")
        assert response.status_code in ((200,) if depth == 50 else (200, 400))
