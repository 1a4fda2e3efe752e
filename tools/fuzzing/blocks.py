"""Finds the blocks of a picture file.

Blocks are the chunks of PNG and WebP (RIFF), the segments of JPEG, the boxes of HEIC and AVIF (ISO
base media), and the blocks of GIF. Damaged files are allowed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from keylike.images.formats import image_format

_MAX_BLOCKS = 400
# Boxes of ISO 14496-12 that contain other boxes, with the number of bytes before the first inner
# box.
_CONTAINERS = {
    b"meta": 12,
    b"iprp": 8,
    b"ipco": 8,
    b"moov": 8,
    b"trak": 8,
    b"mdia": 8,
    b"minf": 8,
    b"stbl": 8,
}
_IMAGE, _EXTENSION = 0x2C, 0x21  # first byte of the two kinds of GIF blocks


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a file.

    Attributes:
        kind: Name of the block.
        start: Position of its first byte in the file.
        end: Position after its last byte.
        length_at: Position of the length field, or None if there is none.
        length_size: Number of bytes of the length field.
        order: Byte order of the length field.
    """

    kind: bytes
    start: int
    end: int
    length_at: int | None
    length_size: int
    order: Literal["big", "little"] = "big"


def blocks(data: bytes) -> list[Block]:
    """Return the blocks in the order of the file, up to the first one that cannot be parsed.

    The list is empty for a file in an unknown format.
    """
    parse = _PARSERS.get(image_format(data) or "")
    if parse is None:
        return []
    found: list[Block] = []
    try:
        for block in parse(data):
            found.append(block)
            if len(found) >= _MAX_BLOCKS:
                break
    except (IndexError, struct.error):
        pass  # the file ends within a block
    return found


def _png(data: bytes) -> Iterator[Block]:
    at = 8
    while at + 12 <= len(data):
        end = at + 12 + int(struct.unpack_from(">I", data, at)[0])
        yield Block(data[at + 4 : at + 8], at, min(end, len(data)), at, 4)
        at = end


def _jpeg(data: bytes) -> Iterator[Block]:
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF or data[at + 1] in (0, 0xFF, *range(0xD0, 0xD8)):
            at += 1  # inside the compressed image data
            continue
        end = at + 2 + int(struct.unpack_from(">H", data, at + 2)[0])
        yield Block(data[at : at + 2], at, min(end, len(data)), at + 2, 2)
        at = end


def _webp(data: bytes) -> Iterator[Block]:
    at = 12
    while at + 8 <= len(data):
        length = int(struct.unpack_from("<I", data, at + 4)[0])
        end = at + 8 + length + length % 2
        yield Block(data[at : at + 4], at, min(end, len(data)), at + 4, 4, "little")
        at = end


def _iso(data: bytes, at: int = 0, until: int | None = None) -> Iterator[Block]:
    until = len(data) if until is None else until
    while at + 8 <= until:
        length, kind = struct.unpack_from(">I4s", data, at)
        end = min(at + max(length, 8), until)
        yield Block(kind, at, end, at, 4)
        if kind in _CONTAINERS:
            yield from _iso(data, at + _CONTAINERS[kind], end)
        at = end


def _gif(data: bytes) -> Iterator[Block]:
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while data[at] in (_IMAGE, _EXTENSION):
        start, at = at, at + 2
        if data[start] == _IMAGE:
            flags = data[start + 9]
            at = start + 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        first = at
        while data[at]:
            at += 1 + data[at]
        at += 1
        yield Block(data[start : start + 1], start, at, first, 1)


_PARSERS: dict[str, Callable[[bytes], Iterator[Block]]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "WEBP": _webp,
    "HEIC": _iso,
    "AVIF": _iso,
    "GIF": _gif,
}
