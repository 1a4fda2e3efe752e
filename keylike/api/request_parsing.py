"""Extract the picture and the options from a form, from JSON, or from a body of picture bytes."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Mapping
from typing import IO, Any, cast

from flask import Request, request
from werkzeug.utils import cached_property

from keylike.api.content_encoding import InflatedBody, is_gzip
from keylike.api.multipart_form import Form, read_form
from keylike.errors import (
    BadImage,
    BadRequest,
    BadZipcode,
    NoImage,
    Overloaded,
    UnsupportedImageType,
)
from keylike.http_server.tasks import RESERVE_KEY, RETRY_AFTER_KEY
from keylike.images.formats import image_format, other_format
from keylike.inference import Options

_RAW_TYPES = ("image/", "application/octet-stream")
MOST_PHOTOS = 32
# Number of first bytes in which a JSON object must begin, after a byte order mark and blanks.
_PEEK_BYTES = 100
_MARKS = (b"{", b"[", b",")
# Largest numbers of values, of containers (objects and arrays) and of quotation marks in a JSON
# body. A valid body has only a few fields. Without these limits, 15 MB of tiny values would take
# half a gigabyte of memory, or be nested too deeply. Commas and brackets in strings do not count.
_JSON_VALUES = 10_000
_JSON_CONTAINERS = 1_000
_JSON_QUOTES = 40_000
# A table for str.translate: it converts the URL-safe alphabet of RFC 4648 to the standard one, and
# removes blanks and line breaks in the same pass.
_BASE64 = str.maketrans("-_", "+/", " \t\r\n")


class PhotoRequest(Request):
    """A request whose body is read without a copy if the server has already received all of it."""

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body as a stream, inflated if it is compressed.

        Raises:
            RequestEntityTooLarge: The body is too large.
            UnsupportedImageType: The body is compressed with anything but gzip.
        """
        if is_gzip(self.headers.get("Content-Encoding", "")):
            reserve = self.environ.get(RESERVE_KEY, lambda count: True)
            return cast(IO[bytes], InflatedBody(self._body, self.max_content_length, reserve))
        return self._body

    @property
    def _body(self) -> IO[bytes]:
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

    The format of a body is detected from its first bytes if it has no content type, or the type
    that curl and wget set for every body.

    Raises:
        NoImage, BadImage, UnsupportedImageType: The picture is missing or unusable.
        BadRequest, BadZipcode: The request or a field is malformed.
        Overloaded: The queue is full, so the server discarded the body.
    """
    _check_body_kept()
    zipcode = _zipcode(request.args.get("zipcode"), default="00000")
    if request.is_json:
        return _from_json(zipcode)
    if request.mimetype == "multipart/form-data":
        return _from_form(zipcode)
    if request.mimetype.startswith(_RAW_TYPES):
        return request.get_data(cache=False), _options(zipcode)
    return _from_content(zipcode)


def read_batch() -> tuple[list[bytes], Options]:
    """Return the bytes of each picture of a form, in order, and the options for all pictures.

    Raises:
        NoImage, UnsupportedImageType: The request has no form, or the form has no picture.
        BadRequest, BadZipcode: The form or a field is malformed, or there are too many pictures.
        Overloaded: The queue is full, so the server discarded the body.
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
    return next(filter(None, form.pictures), b""), options


def _from_content(zipcode: str) -> tuple[bytes, Options]:
    """Return the picture of a body of unknown format: the body, or a field of a JSON object.

    A URL-encoded form is not parsed. It cannot contain a file, and parsing one with millions of
    fields would take seconds.
    """
    data = request.get_data()
    # A picture of an unsupported format is returned too: decoding it later gives the best message.
    if image_format(data) or other_format(data):
        return data, _options(zipcode)
    if data[:_PEEK_BYTES].removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"):
        return _from_json(zipcode)
    if not data or request.mimetype in ("", "application/x-www-form-urlencoded"):
        raise NoImage(
            "Send a picture: as the form field image, as image_data in JSON, or as the body. "
            "Set Content-Type to multipart/form-data, application/json or the picture's type."
        )
    raise UnsupportedImageType(
        "This Content-Type is not accepted. "
        "Send multipart/form-data, application/json, or a picture with its image content type."
    )


def _from_json(zipcode: str) -> tuple[bytes, Options]:
    body = _json_body() if _is_small_json(request.get_data()) else None
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


def _json_body() -> object:
    try:
        return request.get_json(force=True, silent=True)
    except RecursionError:
        return None


def _is_small_json(text: bytes) -> bool:
    """Return True if a JSON text has few enough values, objects and arrays to be parsed.

    Commas and brackets inside strings do not count. If the text is not valid JSON, the result is
    correct for the part before the error, and the parser reads only that part.
    """
    if sum(map(text.count, _MARKS)) <= _JSON_CONTAINERS:
        return True
    # The steps below find the ends of strings in UTF-8 only. A zero byte at the start shows UTF-16
    # or UTF-32.
    if text.count(b'"') > _JSON_QUOTES or b"\0" in text[:4]:
        return False
    unescaped = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside = b"".join(unescaped.split(b'"')[::2])
    containers, values = outside.count(b"{") + outside.count(b"["), outside.count(b",")
    return containers <= _JSON_CONTAINERS and values <= _JSON_VALUES


def _from_base64(text: str) -> bytes:
    """Decode standard or URL-safe base64.

    Line breaks, padding and the prefix of a data URL are optional.

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
    if fields.get(name) not in (None, "", value):
        raise BadRequest(f"{name} must be {value!r}.")


def _zipcode(value: object, *, default: str) -> str:
    # Web pages and apps also send a field that the user left empty.
    if value is None or value == "":
        return default
    if not isinstance(value, str) or not re.fullmatch("[0-9]{5}", value):
        raise BadZipcode("zipcode must be a string of five digits.")
    return value
