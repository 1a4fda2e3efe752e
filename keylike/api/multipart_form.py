"""Multipart forms: the files named image as whole byte strings, and the few known fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from flask import Request
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser
from werkzeug.exceptions import RequestEntityTooLarge

from keylike.errors import BadRequest

_PICTURE = "image"
_FIELDS = ("zipcode", "command")
# A form has a handful of parts, and a batch has 32 photos.
_MOST_PARTS = 1000
# Longer than any valid value of a field, and small enough to keep in memory.
_FIELD_BYTES = 1000
# At least the socket server's receive size, so that pieces are passed on without a copy.
_PIECE_BYTES = 1 << 20


@dataclass(slots=True)
class Form:
    """A parsed form.

    Attributes:
        pictures: The bytes of each file named image, in order.
        fields: zipcode and command; the first of each if there are several.
    """

    pictures: list[bytes] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)


def read_form(request: Request) -> Form:
    """Parse the form of a request.

    Raises:
        BadRequest: The form is malformed or incomplete.
        RequestEntityTooLarge: It has far too many parts.
    """
    form = Form()
    try:
        for part, pieces in _parts(request):
            if part.filename is None and part.name in _FIELDS:
                form.fields.setdefault(
                    part.name, b"".join(pieces)[:_FIELD_BYTES].decode(errors="replace")
                )
            elif part.filename is not None and part.name == _PICTURE:
                form.pictures.append(b"".join(pieces))
    except ParserLimitReached:
        raise RequestEntityTooLarge from None
    except MultipartError:
        raise BadRequest("The form is incomplete or malformed.") from None
    return form


def _parts(request: Request) -> Iterator[tuple[MultipartSegment, list[bytes]]]:
    """Yield each part with the pieces of its content."""
    boundary = request.mimetype_params.get("boundary", "")
    with PushMultipartParser(boundary, max_segment_count=_MOST_PARTS) as parser:
        part: MultipartSegment | None = None
        pieces: list[bytes] = []
        while chunk := request.stream.read(_PIECE_BYTES):
            for event in parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    part, pieces = event, []
                elif event:
                    pieces.append(event)
                elif part:
                    yield part, pieces
