"""Takes the picture and the options out of a request, in whichever of the three ways they were sent."""

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
# A request has a handful of fields. Fifteen megabytes of tiny ones would take half a gigabyte once parsed, or nest without end.
_JSON_MARKS = 100
# Both alphabets of RFC 4648 become one, and line breaks go; splitting at them would make millions of strings.
_BASE64 = str.maketrans("-_", "+/", " \t\r\n")


class PhotoRequest(Request):
    """A request whose body is passed on as it came in, where the server has read it to its end and it is no larger than is accepted."""

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
    """Bytes of the picture and options. Raises NoImage, BadImage, BadRequest, BadZipcode, UnsupportedImageType, Overloaded."""
    _refuse_if_turned_away()
    zipcode = _zipcode(request.args.get("zipcode"), default="00000")
    if request.is_json:
        return _from_json(zipcode)
    if request.mimetype == "multipart/form-data":
        return _from_form(zipcode)
    if request.mimetype.startswith(_RAW_TYPES):
        return request.get_data(cache=False), Options(zipcode)
    # The other kind of form cannot hold a file, and parsing one of millions of fields would take seconds.
    if not request.content_length or request.mimetype == "application/x-www-form-urlencoded":
        raise NoImage(
            "Send a picture: as the form field image, as JSON with image_data, or as the body itself."
        )
    raise UnsupportedImageType(
        "Send multipart/form-data, application/json, or the picture itself with its image content type."
    )


def read_batch() -> tuple[list[bytes], Options]:
    """Bytes of each picture of a form, in order, and options for all. Raises NoImage, BadRequest, BadZipcode, UnsupportedImageType,
    Overloaded."""
    _refuse_if_turned_away()
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


def _refuse_if_turned_away() -> None:
    retry_after_s = request.environ.get(RETRY_AFTER_KEY)
    if retry_after_s is not None:
        raise Overloaded("More photos wait than can be read in time.", retry_after_s=retry_after_s)


def _form_options(form: Form, zipcode: str) -> Options:
    _expect(form.fields, "command", "predict")
    return Options(_zipcode(form.fields.get("zipcode"), default=zipcode))


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
    options = Options(_zipcode(body.get("zipcode"), default=zipcode))
    packed = body.get("image_data")
    if packed is None or packed == "":
        raise NoImage("The JSON has no image_data.")
    if not isinstance(packed, str):
        raise BadRequest("image_data is not a string.")
    return _from_base64(packed), options


def _from_base64(text: str) -> bytes:
    """Bytes of base64 in either alphabet, with or without line breaks, padding and a data URL's head. Raises BadImage."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    packed = text.translate(_BASE64).rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadImage("image_data is not base64.") from None


def _expect(fields: Mapping[str, Any], name: str, value: str) -> None:
    if fields.get(name, value) != value:
        raise BadRequest(f"{name} can only be {value!r}.")


def _zipcode(value: object, *, default: str) -> str:
    if value is None:
        return default
    if not isinstance(value, str) or not re.fullmatch("[0-9]{5}", value):
        raise BadZipcode("zipcode is not five digits in a string.")
    return value
