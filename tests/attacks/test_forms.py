"""Tests of attacks with forms and JSON: very long, broken, duplicated or deceptive ones."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.attacks.server import MARK, TargetServer
from tools.plain_pictures import GREEN, plain

PHOTO = plain()
BAD, NONE, LARGE = (400, "bad_request"), (400, "no_image"), (413, "image_too_large")
ZIPCODE, PICTURE, KIND = (400, "bad_zipcode"), (400, "bad_image"), (415, "unsupported_image_type")
READ: tuple[int, str | None] = (200, None)
BASE64 = base64.b64encode(PHOTO).decode()


def part(head: str | bytes, content: bytes = PHOTO) -> bytes:
    """Return a form part; the boundary of the form is `b`."""
    return (
        b"--b\r\n"
        + (head.encode() if isinstance(head, str) else head)
        + b"\r\n\r\n"
        + content
        + b"\r\n"
    )


def field(name: str, value: bytes | str) -> bytes:
    """Return a text field of a form."""
    return part(
        f'Content-Disposition: form-data; name="{name}"',
        value.encode() if isinstance(value, str) else value,
    )


def file(name: str = "photo.jpg", content: bytes = PHOTO, more: str = "") -> bytes:
    """Return the file field of a form, with the picture."""
    return part(f'Content-Disposition: form-data; name="image"; filename="{name}"{more}', content)


END = b"--b--\r\n"
INNER = b"--c\r\nContent-Disposition: file; filename=x\r\n\r\n" + PHOTO + b"\r\n--c--"
FORMS: dict[str, tuple[bytes, tuple[int, str | None]]] = {
    "20,000 parts": (field("x", "") * 20_000 + file() + END, LARGE),
    "900 fields, then the picture": (field("x", MARK) * 900 + file() + END, READ),
    "900 parts with 4,000 semicolons each": (
        part('Content-Disposition: form-data; name="x"' + ";" * 4000, b"") * 900 + file() + END,
        LARGE,
    ),
    "a zipcode of 9 MB": (field("zipcode", "1" * 9_000_000) + file() + END, ZIPCODE),
    "an unknown field of 9 MB": (field(MARK, b"x" * 9_000_000) + file() + END, READ),
    "a form in a form": (
        part(
            'Content-Disposition: form-data; name="image"\r\n'
            "Content-Type: multipart/mixed; boundary=c",
            INNER,
        )
        + END,
        NONE,
    ),
    "a form in a file": (
        part(
            'Content-Disposition: form-data; name="image"; filename="a"\r\n'
            "Content-Type: multipart/mixed",
            INNER,
        )
        + END,
        KIND,
    ),
    "a field name of 200 kB": (
        part('Content-Disposition: form-data; name="' + "n" * 200_000 + '"') + file() + END,
        LARGE,
    ),
    "9 MB of an unfinished part header": (
        b"--b\r\nContent-Disposition: " + b"x" * 9_000_000,
        LARGE,
    ),
    "1,000 headers in a part": (
        part("X: y\r\n" * 1000 + 'Content-Disposition: form-data; name="image"; filename="a"')
        + END,
        LARGE,
    ),
    "a header without a name": (
        part(': y\r\nContent-Disposition: form-data; name="image"; filename="a"') + END,
        BAD,
    ),
    "no disposition": (part("X: y") + END, BAD),
    "unterminated quotes": (
        part('Content-Disposition: form-data; name="image; filename="' + '\\"' * 1000) + END,
        NONE,
    ),
    "no final boundary": (file(), BAD),
    "only the final boundary": (END, NONE),
    "text before the first part": (b"x" * 1_000_000 + b"\r\n" + file() + END, READ),
    "9 MB after the final boundary": (file() + END + b"x" * 9_000_000, READ),
    "two pictures, the first counts": (file() + file(content=plain(GREEN)) + END, READ),
    "two zipcodes, the first counts": (
        field("zipcode", "12345") + field("zipcode", MARK) + file() + END,
        READ,
    ),
    "the picture as a text field": (field("image", PHOTO) + END, NONE),
    "line feeds without carriage returns": ((file() + END).replace(b"\r\n", b"\n"), BAD),
    "a part in base64": (
        file(more="\r\nContent-Transfer-Encoding: base64", content=BASE64.encode()) + END,
        KIND,
    ),
    "_charset_": (
        field("_charset_", "utf-7") + field("zipcode", "+ADEAMgAzADQANQ-") + file() + END,
        ZIPCODE,
    ),
    "control characters in a part's type": (
        file(more="\r\nContent-Type: image/jpeg\x00\x0b\x1b[2J") + END,
        READ,
    ),
    "filename*": (
        part("Content-Disposition: form-data; name=\"image\"; filename*=utf-8''%2e%2e%2fa") + END,
        READ,
    ),
}
NAMES = [
    "../../../../etc/passwd",
    "a\0.jpg",
    "C:\\x\\..\\y",
    "\u202egpj.exe",
    "a%0d%0aX-Evil: 1",
    "\U0001f511" * 300,
    ".",
    "",
    "-rf",
    "$(id)",
    MARK,
]
BOUNDARIES: dict[str, tuple[bytes, tuple[int, str | None]]] = {
    "none": (b"multipart/form-data", BAD),
    "empty": (b"multipart/form-data; boundary=", BAD),
    "empty, quoted": (b'multipart/form-data; boundary=""', BAD),
    "twice, the last counts": (b"multipart/form-data; boundary=b; boundary=c", BAD),
    "of control characters": (b"multipart/form-data; boundary=\x01\x02", BAD),
    "not ASCII": (b"multipart/form-data; boundary=\xff\xfe", BAD),
    "continued": (b"multipart/form-data; boundary*0=b; boundary*1=c", BAD),
}


@pytest.mark.parametrize("name", FORMS)
def test_form_attack_gets_the_expected_status_and_code(server: TargetServer, name: str) -> None:
    body, (status, code) = FORMS[name]
    response = server.post(body, "multipart/form-data; boundary=b").check(status, code)
    if code is None:
        assert response["bitting"] == "2,5,4,7,3"


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_form_file_name_has_no_effect(server: TargetServer, name: str) -> None:
    reply = server.post(file(name) + END, "multipart/form-data; boundary=b")
    assert reply.check(200)["bitting"] == "2,5,4,7,3"
    assert not name or name in (".", "") or name not in reply.raw.decode()


@pytest.mark.parametrize("name", BOUNDARIES)
def test_form_boundary_attack_gets_the_expected_status_and_code(
    server: TargetServer, name: str
) -> None:
    kind, (status, code) = BOUNDARIES[name]
    body = file() + END
    head = (
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: "
        + kind
        + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    server.send_raw(head + body).check(status, code)


@pytest.mark.parametrize(
    ("length", "status"), [(1, 200), (70, 200), (10_000, 200), (32_000, 200), (33_000, 400)]
)
def test_form_boundary_up_to_the_header_limit_is_accepted(
    server: TargetServer, length: int, status: int
) -> None:
    boundary = "b" * length
    body = (file() + END).replace(b"--b", b"--" + boundary.encode())
    server.post(body, f"multipart/form-data; boundary={boundary}").check(
        status, None if status == 200 else "bad_request"
    )


FLOODS = {
    "dashes after the boundary": b"--b" + b"-" * 9_000_000,
    "line feeds after the boundary": b"--b" + b"\n" * 9_000_000,
    "carriage returns after the boundary": b"--b" + b"\r" * 9_000_000,
    "carriage returns in a picture": file(content=b"\r" * 9_000_000),
    "boundary prefixes in a picture": file(content=b"\r\n--" * 2_200_000),
    "boundaries with one wrong byte": file(content=b"\r\n--a" * 1_800_000),
    "partial boundary prefixes in a picture": file(content=b"\r\n-" * 3_000_000),
}


@pytest.mark.parametrize("name", FLOODS)
def test_form_boundary_search_takes_linear_time(server: TargetServer, name: str) -> None:
    """Send forms for which a quadratic search (as in CVE-2024-9056) takes more than 20 seconds.

    Then the timeout of the connection fails the test.
    """
    reply = server.post(FLOODS[name], "multipart/form-data; boundary=b")
    assert reply.status in (400, 413, 415), reply.raw
    reply.check(reply.status, reply.body["code"])


def test_form_boundary_search_with_a_10_kb_boundary_takes_linear_time(server: TargetServer) -> None:
    """Send bodies for which a search in quadratic time would exceed the timeout of the client."""
    boundary = b"b" * 10_000
    for content in ((b"\r\n--" + boundary[:-1]) * 900, b"\r" * 9_000_000, b"b" * 9_000_000):
        body = b"--" + boundary + file(content=content)[3:]
        server.post(body, f"multipart/form-data; boundary={boundary.decode()}").check(
            400, "bad_request"
        )


def as_json(**fields: Any) -> str:
    """Return a JSON body like that of the phone app."""
    return json.dumps({"image_data": BASE64, **fields})


OBJECT = as_json()[:-1]
JSON: dict[str, tuple[str | bytes, tuple[int, str | None]]] = {
    "arrays 100,000 deep": ('{"image_data": ' + "[" * 100_000 + "]" * 100_000 + "}", BAD),
    "arrays 50 deep": (OBJECT + ', "x": ' + "[" * 50 + "]" * 50 + "}", READ),
    "objects 100,000 deep": ('{"a":' * 100_000 + "1" + "}" * 100_000, BAD),
    "an integer of a million digits": (OBJECT + ', "zipcode": ' + "9" * 1_000_000 + "}", BAD),
    "an integer of 4,000 digits": (OBJECT + ', "zipcode": ' + "9" * 4_000 + "}", ZIPCODE),
    "a number that overflows": (OBJECT + ', "zipcode": 1e999999999}', ZIPCODE),
    "NaN": (OBJECT + ', "zipcode": NaN}', ZIPCODE),
    "Infinity as picture": ('{"image_data": -Infinity}', BAD),
    "the zipcode twice, the last counts": (OBJECT + ', "zipcode": "x", "zipcode": "12345"}', READ),
    "the picture twice, the last counts": (OBJECT + ', "image_data": "!"}', PICTURE),
    "a lone surrogate": (OBJECT + ', "zipcode": "\\ud83d1234"}', ZIPCODE),
    "a lone surrogate as picture": ('{"image_data": "\\udc00"}', PICTURE),
    "NUL in the zipcode": (as_json(zipcode="1234\0"), ZIPCODE),
    "line feed after the zipcode": (as_json(zipcode="12345\n"), ZIPCODE),
    "digits of other alphabets": (as_json(zipcode="\uff11\uff12\uff13\uff14\uff15"), ZIPCODE),
    "digits with joiners": (as_json(zipcode="1\u200d2345"), ZIPCODE),
    "a list as zipcode": (as_json(zipcode=["12345"]), ZIPCODE),
    "true as zipcode": (as_json(zipcode=True), ZIPCODE),
    "prototypes": (as_json(__proto__={"zipcode": MARK}, constructor={"prototype": MARK}), READ),
    "UTF-16": (as_json().encode("utf-16"), READ),
    "a byte order mark": (b"\xef\xbb\xbf" + as_json().encode(), READ),
    "NUL after the object": (as_json().encode() + b"\0", BAD),
    "another object after it": (as_json() + as_json(), BAD),
    "base64 in lines": (
        as_json(image_data="\r\n".join(BASE64[at : at + 76] for at in range(0, len(BASE64), 76))),
        READ,
    ),
    "base64 between 9 MB of spaces": (as_json(image_data=" " * 9_000_000 + BASE64), READ),
    "base64 with garbage": (
        as_json(image_data=BASE64[:40] + MARK + "\u20ac" + BASE64[40:]),
        PICTURE,
    ),
    "base64 of only padding": (as_json(image_data="=" * 9_000_000), NONE),
    "base64 with padding inside": (as_json(image_data=BASE64[:41] + "=" + BASE64[41:]), PICTURE),
    "a data URL of HTML": (
        as_json(image_data="data:text/html;base64," + base64.b64encode(b"<html>").decode()),
        KIND,
    ),
    "a data URL of 9 MB before its comma": (
        as_json(image_data="data:" + "x" * 9_000_000 + "," + BASE64),
        READ,
    ),
    "a URL instead of the picture": (
        as_json(image_data="http://169.254.169.254/latest"),
        PICTURE,
    ),
    "a path instead of the picture": (as_json(image_data="file:///etc/passwd"), PICTURE),
}


@pytest.mark.parametrize("name", JSON)
def test_json_attack_gets_the_expected_status_and_code(server: TargetServer, name: str) -> None:
    body, (status, code) = JSON[name]
    response = server.post(body, "application/json").check(status, code)
    if code is None:
        assert response["bitting"] == "2,5,4,7,3"


@pytest.mark.parametrize(
    "value",
    [
        "1234\0",
        "12345\r\nX-Evil: 1",
        "\u0661\u0662\u0663\u0664\u0665",
        "<b>12</b>",
        "12345 ",
        "'--",
        MARK,
        "\x1b[2J12",
    ],
)
def test_zipcode_with_a_bad_value_is_refused_in_forms_and_queries(
    server: TargetServer, value: str
) -> None:
    from urllib.parse import quote

    server.post(field("zipcode", value) + file() + END, "multipart/form-data; boundary=b").check(
        *ZIPCODE
    )
    server.post(PHOTO, path=f"/predict?zipcode={quote(value)}").check(*ZIPCODE)


def test_server_is_healthy_after_all_attacks(server: TargetServer) -> None:
    server.check_healthy(max_peak_mb=150)
