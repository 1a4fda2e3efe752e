"""Parse multipart forms: the bytes of each picture, and the fields zipcode and command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from flask import Request
from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
)
from werkzeug.exceptions import RequestEntityTooLarge

from keylike.errors import BadRequest

# Accepted names of a picture's part. Libraries name the entries of a list `image[]` or `image[0]`.
_PICTURE = re.compile(r"images?(\[[0-9]{0,3}\])?")
_QUOTED = re.compile(r'"(?:\\.|[^\\"])*+"')
_PICTURE_TYPES = ("image/", "application/octet-stream")
_FIELDS = ("zipcode", "command")
# Largest number of parts of a form. A batch has 32 photos and a few fields.
_MOST_PARTS = 1000
# Largest size of the headers of all parts, in bytes. Parsing them takes time.
_HEADER_BYTES = 250_000
# Largest number of bytes of a field that are used. Every valid value is shorter.
_FIELD_BYTES = 1000
# Number of bytes to read at once. It is not smaller than the pieces that the socket server
# receives, so that they are passed on without a copy.
_PIECE_BYTES = 1 << 20
# Longest boundary in characters (RFC 2046, 5.1.1), and most blanks that are removed after a
# delimiter; the RFC sets no limit for blanks. A form with a longer boundary is parsed too, but then
# no blanks are removed.
_LONGEST_BOUNDARY = 70
_MOST_BLANKS = 200


@dataclass(slots=True)
class Form:
    """A parsed form.

    Attributes:
        pictures: The bytes of each picture, in order.
        fields: Values of zipcode and command. If a field occurs several times, the first is used.
    """

    pictures: list[bytes] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)


def read_form(request: Request) -> Form:
    """Parse the form of a request.

    A picture is a part named image (or images, image[], image[0]) that has a file name or the
    content type of a picture. A file input of a web form that was left empty is ignored.

    Raises:
        BadRequest: The form is malformed or incomplete.
        RequestEntityTooLarge: It has more than 1000 parts, or too large headers.
    """
    form = Form()
    boundary = request.mimetype_params.get("boundary", "")
    if not boundary:
        raise BadRequest(
            "The Content-Type of the form has no boundary. "
            "Let the HTTP library set this header; it adds the boundary."
        )
    try:
        for part, pieces in _parts(request, boundary):
            name = part.name or ""
            if part.filename is None and name in _FIELDS:
                form.fields.setdefault(
                    name, b"".join(pieces)[:_FIELD_BYTES].decode(errors="replace")
                )
            elif _PICTURE.fullmatch(name) and _is_file(part) and (pieces or part.filename):
                form.pictures.append(b"".join(pieces))
    except ParserLimitReached:
        raise RequestEntityTooLarge from None
    except MultipartError:
        raise BadRequest("The form is incomplete or malformed.") from None
    return form


def _is_file(part: MultipartSegment) -> bool:
    """Return True if a part has a file name in any notation, or the content type of a picture."""
    if part.filename is not None or (part.content_type or "").startswith(_PICTURE_TYPES):
        return True
    # The library does not recognize filename*=UTF-8''… and filename*0=… (RFC 2231), or unquoted
    # names that begin with a byte above 127.
    disposition = part.header("Content-Disposition", "")
    unquoted = _QUOTED.sub("", disposition).lower()
    return any(each.lstrip().startswith("filename") for each in unquoted.split(";")[1:])


def _parts(request: Request, boundary: str) -> Iterator[tuple[MultipartSegment, list[bytes]]]:
    """Yield each part of the form, and its content as a list of pieces."""
    blanks = _BlankRemover(boundary.encode())
    # latin-1 accepts every byte: a file name may be in any encoding. Field names are ASCII.
    with PushMultipartParser(
        boundary, max_segment_count=_MOST_PARTS, header_charset="latin-1"
    ) as parser:
        part: MultipartSegment | None = None
        pieces: list[bytes] = []
        headers_left = _HEADER_BYTES
        while chunk := request.stream.read(_PIECE_BYTES):
            cleaned = blanks.clean(chunk)
            # The parser treats an empty chunk as the end of the form.
            for event in parser.parse(cleaned) if cleaned else ():
                if isinstance(event, MultipartSegment):
                    part, pieces = event, []
                    headers_left -= sum(len(name) + len(value) for name, value in part.headerlist)
                    if headers_left < 0:
                        raise RequestEntityTooLarge
                elif event:
                    pieces.append(event)
                elif part:
                    yield part, pieces


class _BlankRemover:
    """A filter that removes blanks after the delimiters of a form (RFC 2046, 5.1.1).

    The parser refuses such blanks. If a delimiter may continue in the next chunk, the filter keeps
    the end of the current chunk until then: at most the length of a delimiter and its blanks.
    """

    def __init__(self, boundary: bytes) -> None:
        self._line = b"--" + boundary
        self._follows = len(boundary) <= _LONGEST_BOUNDARY
        # Start with a line break, so that the first delimiter looks like all others. The parser
        # accepts it.
        self._held = b"\r\n"

    def clean(self, chunk: bytes) -> bytes:
        """Return the bytes that can be parsed, given the next chunk of the body."""
        data = self._held + chunk
        if self._follows and (self._line + b" " in data or self._line + b"\t" in data):
            delimiter = rb"(\r\n" + re.escape(self._line) + rb")"
            data = re.sub(delimiter + rb"[ \t]{1,%d}(?=\r\n)" % _MOST_BLANKS, rb"\1", data)
        at = self._end_of_certain(data) if self._follows else len(data)
        self._held = data[at:]
        return data[:at]

    def _end_of_certain(self, data: bytes) -> int:
        """Return the start of a delimiter that may continue in the next chunk, or len(data)."""
        at = data.rfind(b"\r\n", -len(self._line) - _MOST_BLANKS - 4)
        line = data[at + 2 :]
        if at >= 0 and (
            self._line.startswith(line)
            or (line.startswith(self._line) and not line[len(self._line) :].strip(b" \t\r"))
        ):
            return at
        return len(data) - data.endswith(b"\r")
