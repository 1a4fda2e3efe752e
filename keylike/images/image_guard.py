"""Goes through a picture's structure before any decoder does, and refuses what is built to keep one busy without end.

Pillow takes segments, chunks and blocks one by one in Python, holding the interpreter's lock: ten megabytes of tiny ones take it seconds
in which nothing else is served. Honest files have a few dozen; where a bound has to be large, because of metadata, it says why.
"""

from __future__ import annotations

import re

from keylike.errors import BadImage

# Any marker of ITU-T T.81 table B.1 but those that stand within the coded data: stuffed zeros, fill bytes, restarts.
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd8])", re.DOTALL)
_END, _SCAN, _TABLES = 0xD9, 0xDA, 0xDB
# Baseline, extended and progressive Huffman frames, tables, comments and applications' segments. Left out are arithmetic and lossless
# coding, which no camera or browser writes: a scan of a dozen bytes then takes libjpeg as long as one that is full. Left out too are
# reserved markers, at which libjpeg and Pillow go on in different places.
_KNOWN = frozenset({0xC0, 0xC1, 0xC2, 0xC4, _SCAN, _TABLES, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)})
# Progressive JPEGs have about ten; libjpeg goes through the whole picture for each, whatever it holds.
_MOST_SCANS = 32
# 10 MB of EXIF, XMP or a colour profile are 160 segments.
_MOST_SEGMENTS = 400
# Between segments before the first scan: some cameras fill up to a round address.
_MOST_JUNK = 65_536
# Four tables of two bytes a value, which is all that a frame can use; Pillow copies the rest of the segment for each.
_LONGEST_TABLES = 2 + 4 * 129

# Of a kilobyte each in a PNG of 10 MB; libpng's own are of 8 kB.
_MOST_CHUNKS = 10_000
# Each may unpack to a megabyte, for Pillow also where it then turns out to be broken.
_PACKED_CHUNKS, _MOST_PACKED = frozenset({b"zTXt", b"iTXt", b"iCCP"}), 64

# Before a GIF's first picture: XMP lies there in pieces of any length.
_MOST_BLOCKS = 20_000


def jpeg_scans(data: bytes) -> int:
    """Scans of the first picture in a JPEG, each of which is worked through for the whole picture, be it a dozen bytes long. Raises
    BadImage where there are more than any camera or editor writes, or more of anything else that costs time."""
    at, scans, junk = 2, 0, 0
    for _ in range(_MOST_SEGMENTS + 1):
        marker = _MARKER.search(data, at)
        if not scans:
            junk += (marker.start() if marker else len(data)) - at
        if junk > _MOST_JUNK:
            raise BadImage("The JPEG picture has no picture in its beginning.")
        kind = marker[1][0] if marker else _END
        if marker is None or kind == _END:
            # Behind an end before any scan Pillow goes on where libjpeg stops.
            return _scans_to_the_end(scans, ended=marker is not None)
        if kind not in _KNOWN:
            raise BadImage("The JPEG picture is coded in a way that is not read.")
        length = int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        if kind == _TABLES and length > _LONGEST_TABLES:
            raise BadImage("The JPEG picture has more tables than it can use.")
        scans += kind == _SCAN
        if scans > _MOST_SCANS:
            raise BadImage(
                "The JPEG picture has more scans than any camera or editor writes.",
                max_scans=_MOST_SCANS,
            )
        # Thumbnails lie inside a segment, which its length leaps over.
        at = marker.end() + length
    raise BadImage(
        "The JPEG picture has more segments than any camera or editor writes.",
        max_segments=_MOST_SEGMENTS,
    )


def _scans_to_the_end(scans: int, *, ended: bool) -> int:
    if ended and not scans:
        raise BadImage("The JPEG picture ends before it begins.")
    return scans


def check_png(data: bytes) -> None:
    """Raises BadImage for a PNG of too many chunks, or of too many that are packed beside the picture."""
    at, packed = 8, 0
    for _ in range(_MOST_CHUNKS):
        kind = data[at + 4 : at + 8]
        packed += kind in _PACKED_CHUNKS
        if packed > _MOST_PACKED:
            raise BadImage(
                "The PNG picture has more text beside it than any editor writes.",
                max_texts=_MOST_PACKED,
            )
        if len(kind) < 4 or kind == b"IEND":
            return
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    raise BadImage(
        "The PNG picture is in more pieces than any editor writes.", max_chunks=_MOST_CHUNKS
    )


def check_gif(data: bytes) -> None:
    """Raises BadImage for a GIF of too many blocks before its first picture."""
    at = 13 + (3 << (data[10] & 7) + 1 if len(data) > 10 and data[10] & 128 else 0)
    inside = False
    for _ in range(_MOST_BLOCKS):
        if at >= len(data):
            return
        if inside:
            size = data[at]
            at, inside = at + 1 + size, size > 0
        elif data[at] in b",;":
            return
        else:
            # An extension and its label; anything else is a byte that decoders pass over.
            inside = data[at] == 0x21
            at += 2 if inside else 1
    raise BadImage(
        "The GIF picture has more beside it than any editor writes.", max_blocks=_MOST_BLOCKS
    )
