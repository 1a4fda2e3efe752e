"""The functions that the fuzzer calls. The first byte of an input selects one of them.

Each parses a request or a picture. It must either return a photo within the size limits or raise
one of Keylike's errors.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

from flask import Flask
from werkzeug.exceptions import RequestEntityTooLarge

from keylike.api.request_parsing import PhotoRequest, read_batch, read_request
from keylike.errors import KeylikeError
from keylike.images.formats import ACCEPTED
from keylike.images.photo import open_photo
from tools.fuzzing.broken_pictures import broken_picture
from tools.fuzzing.forms import BOUNDARY, form
from tools.fuzzing.valid_pictures import valid_pictures

# Largest body in bytes.
_MAX_BYTES = 1_000_000
_LONG_SIDE = 2048  # longest side of a decoded photo in pixels
_app = Flask(__name__)
_app.request_class = PhotoRequest
_app.config["MAX_CONTENT_LENGTH"] = _MAX_BYTES


def fuzz_one_input(data: bytes) -> str:
    """Pass the bytes after the first to the function that the first byte selects.

    Returns:
        The error code of a refusal, the format of a photo, or "read" for a request.

    Raises:
        AssertionError: The photo does not have the properties that `open_photo` promises.
        Exception: Any error that is not one of Keylike's errors. It is a finding.
    """
    entry_point = _ENTRY_POINTS[data[0] % len(_ENTRY_POINTS)] if data else _picture
    try:
        return entry_point(data[1:])
    except KeylikeError as error:
        return error.code
    except RequestEntityTooLarge:
        return "image_too_large"


def _picture(data: bytes) -> str:
    photo = open_photo(data, max_bytes=_MAX_BYTES)
    height, width, channels = photo.pixels.shape
    assert (
        photo.format in ACCEPTED
        and channels == 3
        and min(height, width) >= 1
        and max(height, width) <= _LONG_SIDE
    )
    assert not photo.pixels.flags.writeable and 0 < photo.scale <= 1
    return photo.format


def _request(kind: str, body: bytes, read: Callable[[], tuple[bytes | list[bytes], object]]) -> str:
    # Remove control characters from the content type: the server refuses them before this code.
    kind = "".join(letter for letter in kind if letter.isprintable())
    with _app.test_request_context(
        "/",
        method="POST",
        data=body,
        content_type=kind,
        environ_overrides={"wsgi.input_terminated": True},
    ):
        found, _ = read()
    for picture in found if isinstance(found, list) else [found]:
        fuzz_one_input(b"\0" + picture)
    return "read"


def _form(data: bytes) -> str:
    return _request(f"multipart/form-data; boundary={BOUNDARY}", data, read_request)


def _batch(data: bytes) -> str:
    return _request(f"multipart/form-data; boundary={BOUNDARY}", data, read_batch)


def _json(data: bytes) -> str:
    return _request("application/json", data, read_request)


def _any_content_type(data: bytes) -> str:
    kind, _, body = data.partition(b"\n")
    return _request(kind.decode("latin-1"), body, read_request)


_ENTRY_POINTS = (_picture, _form, _batch, _json, _any_content_type)


def seeds(count: int) -> Iterator[bytes]:
    """Yield the initial inputs: valid pictures, broken ones, and a few requests with a picture.

    `count` is the number of broken pictures.
    """
    pictures = [*valid_pictures(), *(broken_picture(seed) for seed in range(count))]
    yield from (b"\0" + picture for picture in pictures if len(picture) < 20_000)
    picture = valid_pictures()[0]
    body = bytes(form(("zipcode", "12345"), ("image", picture), ("command", "predict"))["data"])
    yield from (b"\1" + body, b"\2" + body)
    encoded = base64.b64encode(picture).decode()
    yield (
        b"\3"
        + json.dumps(
            {
                "image_data": f"data:image/jpeg;base64,{encoded}",
                "zipcode": "12345",
                "format": "base64",
            }
        ).encode()
    )
    yield b"\4image/png\n" + picture
    yield f'\4multipart/form-data; boundary="{BOUNDARY}"\n'.encode() + body
