"""Takes a multipart form apart as its bytes came in: the pictures whole, the few fields that are known, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from flask import Request
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser
from werkzeug.exceptions import RequestEntityTooLarge

from keylike.errors import BadRequest

_PICTURE, _FIELDS = "image", ("zipcode", "command")
# A form has a handful of parts; a batch has 32 pictures.
_MOST_PARTS = 1000
# More than either field can be, few enough to hold.
_FIELD_BYTES = 1000
# At least what the server takes from a socket in one go, so that the pieces are passed on as they are.
_PIECE_BYTES = 1 << 20


@dataclass(slots=True)
class Form:
    """`pictures`: the bytes of each file of this name, in order. `fields`: zipcode and command, the first of each."""

    pictures: list[bytes] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)


def read_form(request: Request) -> Form:
    """The form of a request. Raises BadRequest where it is broken, RequestEntityTooLarge where it has far too many parts."""
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
        raise BadRequest("The form is broken off or malformed.") from None
    return form


def _parts(request: Request) -> Iterator[tuple[MultipartSegment, list[bytes]]]:
    """Each part and the pieces of its content."""
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
