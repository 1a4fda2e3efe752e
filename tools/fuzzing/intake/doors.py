"""The ways into the intake, one chosen by an input's first byte; out of each comes a bounded photo or the project's own error."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

from flask import Flask
from werkzeug.exceptions import RequestEntityTooLarge

from keylike.api.request_parsing import PhotoRequest, read_batch, read_request
from keylike.errors import KeylikeError
from keylike.images.photo import ACCEPTED, open_photo
from tools.fuzzing.forms import BOUNDARY, form
from tools.fuzzing.pictures import broken
from tools.fuzzing.sound import sound_pictures

# Smaller than the server's: an input that would be refused for its size alone finds nothing out.
_MOST_BYTES = 1_000_000
_LONG_SIDE = 2048
_application = Flask(__name__)
_application.request_class = PhotoRequest
_application.config["MAX_CONTENT_LENGTH"] = _MOST_BYTES


def look_at(data: bytes) -> str:
    """Sends `data` through the door that its first byte names. Gives the code of the refusal, or the photo's format; raises whatever is no
    error of the project's own, and AssertionError where a photo is not as it must be."""
    door = _DOORS[data[0] % len(_DOORS)] if data else _picture
    try:
        return door(data[1:])
    except KeylikeError as refusal:
        return refusal.code
    except RequestEntityTooLarge:
        return "image_too_large"


def _picture(data: bytes) -> str:
    photo = open_photo(data, max_bytes=_MOST_BYTES)
    height, width, colours = photo.pixels.shape
    assert (
        photo.format in ACCEPTED
        and colours == 3
        and min(height, width) >= 1
        and max(height, width) <= _LONG_SIDE
    )
    assert not photo.pixels.flags.writeable and 0 < photo.scale <= 1
    return photo.format


def _request(kind: str, body: bytes, read: Callable[[], tuple[bytes | list[bytes], object]]) -> str:
    # The content type of a real request holds no control characters: the server has refused it before.
    kind = "".join(letter for letter in kind if letter.isprintable())
    with _application.test_request_context(
        "/",
        method="POST",
        data=body,
        content_type=kind,
        environ_overrides={"wsgi.input_terminated": True},
    ):
        found, _ = read()
    for picture in found if isinstance(found, list) else [found]:
        look_at(b"\0" + picture)
    return "read"


def _form(data: bytes) -> str:
    return _request(f"multipart/form-data; boundary={BOUNDARY}", data, read_request)


def _batch(data: bytes) -> str:
    return _request(f"multipart/form-data; boundary={BOUNDARY}", data, read_batch)


def _json(data: bytes) -> str:
    return _request("application/json", data, read_request)


def _anything(data: bytes) -> str:
    kind, _, body = data.partition(b"\n")
    return _request(kind.decode("latin-1"), body, read_request)


_DOORS = (_picture, _form, _batch, _json, _anything)


def seeds(count: int) -> Iterator[bytes]:
    """What the search begins with: sound pictures, `count` broken ones, and a few requests around them."""
    pictures = [*sound_pictures(), *(broken(seed) for seed in range(count))]
    yield from (b"\0" + picture for picture in pictures if len(picture) < 20_000)
    sound = sound_pictures()[0]
    body = bytes(form(("zipcode", "12345"), ("image", sound), ("command", "predict"))["data"])
    yield from (b"\1" + body, b"\2" + body)
    packed = base64.b64encode(sound).decode()
    yield (
        b"\3"
        + json.dumps(
            {
                "image_data": f"data:image/jpeg;base64,{packed}",
                "zipcode": "12345",
                "format": "base64",
            }
        ).encode()
    )
    yield b"\4image/png\n" + sound
    yield f'\4multipart/form-data; boundary="{BOUNDARY}"\n'.encode() + body
