"""Request parsing: picture and options from a form, from JSON, or from the body itself."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import IO, Any

from flask import Request, request
from werkzeug.utils import cached_property

from keylike.api.multipart_form import Form, read_form
from keylike.errors import (
    BadImage,
    BadRequest,
    BadZipcode,
    NoImage,
    Overloaded,
    UnsupportedImageType,
)
from keylike.http_server.tasks import RETRY_AFTER_KEY
from keylike.inference import Options

_RAW_TYPES = ("image/", "application/octet-stream")
MOST_PHOTOS = 32
# A request has a handful of fields. Without a bound, 15 MB of tiny ones would parse into half a
# gigabyte, or nest without end.
_JSON_MARKS = 100
# Maps both alphabets of RFC 4648 to one and removes line breaks, without building lists of lines.
_BASE64 = str.maketrans("-_", "+/", " \t\r\n")


class PhotoRequest(Request):
    """A request whose body is read without a copy if the server has already received all of it."""

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body. Raises RequestEntityTooLarge."""
        known, most = self.content_length, self.max_content_length
        if (
            self.environ.get("wsgi.input_terminated")
            and known is not None
            and most is not None
            and known <= most
        ):
            body: IO[bytes] = self.environ["wsgi.input"]
            return body
        return super().stream


def read_request() -> tuple[bytes, Options]:
    """Return the picture's bytes and the options of the current request.

    Raises:
        NoImage, BadImage, UnsupportedImageType: The picture is missing or unusable.
        BadRequest, BadZipcode: The request or a field is malformed.
        Overloaded: The server did not keep the body.
    """
    _check_body_kept()
    zipcode = _zipcode(request.args.get("zipcode"), default="00000")
    if request.is_json:
        return _from_json(zipcode)
    if request.mimetype == "multipart/form-data":
        return _from_form(zipcode)
    if request.mimetype.startswith(_RAW_TYPES):
        return request.get_data(cache=False), _options(zipcode)
    # A URL-encoded form cannot hold a file, and parsing one with millions of fields takes seconds.
    if not request.content_length or request.mimetype == "application/x-www-form-urlencoded":
        raise NoImage(
            "Send a picture: as the form field image, as image_data in JSON, or as the body."
        )
    raise UnsupportedImageType(
        "Send multipart/form-data, application/json, or a picture with its image content type."
    )


def read_batch() -> tuple[list[bytes], Options]:
    """Return the bytes of each picture of a form, in order, and the options for all.

    Raises:
        NoImage, UnsupportedImageType: The request has no form, or the form has no picture.
        BadRequest, BadZipcode: The form or a field is malformed, or there are too many pictures.
        Overloaded: The server did not keep the body.
    """
    _check_body_kept()
    if request.mimetype != "multipart/form-data":
        if request.content_length:
            raise UnsupportedImageType(
                "Send multipart/form-data with a part named image for each picture."
            )
        raise NoImage("Send a form with a part named image for each picture.")
    form = read_form(request)
    options = _form_options(form, "00000")
    if not form.pictures:
        raise NoImage("The form has no file in its field image.")
    if len(form.pictures) > MOST_PHOTOS:
        raise BadRequest(f"The form has more than {MOST_PHOTOS} pictures.", max_photos=MOST_PHOTOS)
    return form.pictures, options


def _check_body_kept() -> None:
    retry_after_s = request.environ.get(RETRY_AFTER_KEY)
    if retry_after_s is not None:
        raise Overloaded(
            "The queue is full: more photos wait than can be read in time.",
            retry_after_s=retry_after_s,
        )


def _options(zipcode: str) -> Options:
    cache = request.cache_control
    return Options(zipcode, cache=not (cache.no_cache or cache.no_store))


def _form_options(form: Form, zipcode: str) -> Options:
    _expect(form.fields, "command", "predict")
    return _options(_zipcode(form.fields.get("zipcode"), default=zipcode))


def _from_form(zipcode: str) -> tuple[bytes, Options]:
    form = read_form(request)
    options = _form_options(form, zipcode)
    if not form.pictures:
        raise NoImage("The form has no file in its field image.")
    return form.pictures[0], options


def _from_json(zipcode: str) -> tuple[bytes, Options]:
    text = request.get_data()
    marks = sum(map(text.count, (b"{", b"[", b",")))
    body = request.get_json(silent=True) if marks <= _JSON_MARKS else None
    if not isinstance(body, dict):
        raise BadRequest("The body is not a JSON object.")
    _expect(body, "format", "base64")
    _expect(body, "command", "predict")
    options = _options(_zipcode(body.get("zipcode"), default=zipcode))
    encoded = body.get("image_data")
    if encoded is None or encoded == "":
        raise NoImage("The JSON has no image_data.")
    if not isinstance(encoded, str):
        raise BadRequest("image_data is not a string.")
    return _from_base64(encoded), options


def _from_base64(text: str) -> bytes:
    """Decode base64 of either alphabet, with or without line breaks, padding or a data URL prefix.

    Raises:
        BadImage: The text is not base64.
    """
    if text.startswith("data:"):
        text = text.partition(",")[2]
    encoded = text.translate(_BASE64).rstrip("=")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadImage("image_data is not base64.") from None


def _expect(fields: Mapping[str, Any], name: str, value: str) -> None:
    if fields.get(name, value) != value:
        raise BadRequest(f"{name} must be {value!r}.")


def _zipcode(value: object, *, default: str) -> str:
    if value is None:
        return default
    if not isinstance(value, str) or not re.fullmatch("[0-9]{5}", value):
        raise BadZipcode("zipcode must be a string of five digits.")
    return value
