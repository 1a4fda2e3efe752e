"""Refuse JPEG, PNG and GIF files that would take a decoder too long, before decoding them.

Pillow reads segments (JPEG), chunks (PNG) and blocks (GIF) in Python and holds the global
interpreter lock. 10 MB of tiny ones take seconds, during which the process serves no other request.
Real files have a few dozen, or more if they contain much metadata; the comments on the limits
explain how many.
"""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

from keylike.errors import BadImage

# Pattern of a JPEG marker (ITU-T T.81, table B.1). It excludes what may occur inside coded data:
# stuffed zeros, fill bytes and restart markers.
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd8])", re.DOTALL)
_END_OF_IMAGE = 0xD9
_START_OF_SCAN = 0xDA
_QUANTIZATION_TABLES = 0xDB
# Accepted markers: baseline, extended and progressive Huffman frames, tables, comments and
# application segments. Arithmetic and lossless coding are excluded: no camera or browser writes
# them, and libjpeg needs as long for a scan of a few bytes as for a full one. Reserved markers are
# excluded because libjpeg and Pillow continue at different offsets after them.
_SUPPORTED_MARKERS = frozenset(
    {0xC0, 0xC1, 0xC2, 0xC4, _START_OF_SCAN, _QUANTIZATION_TABLES, 0xDC, 0xDD, 0xFE}
) | set(range(0xE0, 0xF0))
# Largest number of scans of a JPEG. Progressive JPEGs have about ten. libjpeg processes the whole
# picture for each scan, even for a tiny one.
MAX_SCANS = 32
# Largest number of segments of a JPEG. 10 MB of EXIF, XMP or a colour profile take 160 segments.
_MAX_SEGMENTS = 400
# Largest number of bytes between segments before the first scan. Some cameras pad to a round
# offset.
_MAX_PADDING = 65_536
# Largest size in bytes of a segment with quantization tables: four tables with two bytes per value,
# as many as a frame can use. Pillow copies the rest of the segment for each table.
_MAX_TABLES_BYTES = 2 + 4 * 129
# Markers of baseline, extended and progressive frames.
_PROGRESSIVE = 0xC2
_FRAMES = (0xC0, 0xC1, _PROGRESSIVE)
# Number of bytes that are read of the header of a frame or scan. With four components, the most
# that Pillow supports, it is shorter.
_MAX_HEADER_BYTES = 32

# Largest number of chunks of a PNG: 10 MB in chunks of 1 kB. libpng writes chunks of 8 kB.
_MAX_CHUNKS = 10_000
# Chunks with compressed text or a colour profile, and the largest number of them. No editor writes
# more. They are removed before decoding.
_COMPRESSED_TEXT = frozenset({b"zTXt", b"iTXt", b"iCCP"})
_MAX_COMPRESSED_TEXT = 64
# Ancillary chunks that are kept because they change the pixels: transparency, and EXIF with the
# orientation. The names of ancillary chunks begin with a lower-case letter.
_KEPT_ANCILLARY = frozenset({b"tRNS", b"eXIf"})

# Largest number of blocks before the first picture of a GIF. XMP metadata is stored in many blocks.
_MAX_BLOCKS = 20_000


class JpegStructure(NamedTuple):
    """The structure of the first picture in a JPEG.

    Attributes:
        scans: Number of scans.
        ended: True if there is an end marker.
        complete: True if the scans contain all bits of all components.
    """

    scans: int
    ended: bool
    complete: bool


def jpeg_structure(data: bytes) -> JpegStructure:
    """Return the structure of the first picture in a JPEG.

    Raises:
        BadImage: There are more scans, segments, tables or padding than any camera or editor
            writes, or the coding is not supported.
    """
    at, scans, padding = 2, 0, 0
    # For each component, the coefficients of which all bits have been read.
    known: dict[int, set[int]] = {}
    progressive = False
    for _ in range(_MAX_SEGMENTS + 1):
        marker = _MARKER.search(data, at)
        if not scans:
            padding += (marker.start() if marker else len(data)) - at
        if padding > _MAX_PADDING:
            raise BadImage("The JPEG picture starts with too much padding.")
        kind = marker[1][0] if marker else _END_OF_IMAGE
        if marker is None or kind == _END_OF_IMAGE:
            # An end marker before the first scan: here libjpeg stops, but Pillow goes on.
            if marker is not None and not scans:
                raise BadImage("The JPEG picture ends before its first scan.")
            complete = bool(known) and all(len(each) == 64 for each in known.values())
            return JpegStructure(scans, marker is not None, complete)
        if kind not in _SUPPORTED_MARKERS:
            raise BadImage("The JPEG picture uses a coding that is not supported.")
        length = int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        if kind == _QUANTIZATION_TABLES and length > _MAX_TABLES_BYTES:
            raise BadImage("The JPEG picture has more tables than it can use.")
        segment = data[marker.end() + 2 : marker.end() + min(length, _MAX_HEADER_BYTES)]
        if kind in _FRAMES:
            progressive = kind == _PROGRESSIVE
            known = {component: set() for component in segment[6::3]}
        elif kind == _START_OF_SCAN:
            _count_coefficients(segment, known, progressive)
        scans += kind == _START_OF_SCAN
        if scans > MAX_SCANS:
            raise BadImage(
                "The JPEG picture has more scans than any camera or editor writes.",
                max_scans=MAX_SCANS,
            )
        # Continue after the segment. This also skips thumbnails, which are inside a segment.
        at = marker.end() + length
    raise BadImage(
        "The JPEG picture has more segments than any camera or editor writes.",
        max_segments=_MAX_SEGMENTS,
    )


def _count_coefficients(header: bytes, known: dict[int, set[int]], progressive: bool) -> None:
    """Add the coefficients whose last bits are in a scan to `known` (T.81, B.2.3)."""
    components = header[1 : 1 + 2 * header[0] : 2] if header else b""
    first, last, bits = 0, 63, 0
    if progressive:
        first, last, bits = [*header[1 + 2 * len(components) :], 0, 0, 0][:3]
    # The low four bits are the number of bits that later scans will add.
    if not bits & 15:
        for component in components:
            known.setdefault(component, set()).update(range(first, min(last, 63) + 1))


def pixel_chunks(data: bytes) -> bytes:
    """Return a PNG with only the chunks that change its pixels.

    Otherwise Pillow would decompress text and colour profiles, and refuse the picture if one of
    them is damaged. Damaged ancillary chunks are removed too, as libpng does.

    Raises:
        BadImage: The file has too many chunks, or too much compressed text.
    """
    at, compressed = 8, 0
    # Memory views, so that a large picture is copied only once.
    view = memoryview(data)
    kept = [view[:8]]
    for _ in range(_MAX_CHUNKS):
        kind = data[at + 4 : at + 8]
        compressed += kind in _COMPRESSED_TEXT
        if compressed > _MAX_COMPRESSED_TEXT:
            raise BadImage(
                "The PNG picture has more compressed text than any editor writes.",
                max_texts=_MAX_COMPRESSED_TEXT,
            )
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        ancillary = len(kind) == 4 and kind[0] & 0x20
        if not ancillary or (kind in _KEPT_ANCILLARY and _is_intact(data, at, end)):
            kept.append(view[at:end])
        if len(kind) < 4 or kind == b"IEND":
            return data if sum(map(len, kept)) == len(data) else b"".join(kept)
        at = end
    raise BadImage(
        "The PNG picture has more chunks than any editor writes.", max_chunks=_MAX_CHUNKS
    )


def _is_intact(data: bytes, start: int, end: int) -> bool:
    """Return True if the checksum of the chunk between these offsets is right."""
    return zlib.crc32(data[start + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")


def check_gif(data: bytes) -> None:
    """Check the number of blocks before the first picture of a GIF.

    Raises:
        BadImage: There are too many blocks.
    """
    at = 13 + (3 << (data[10] & 7) + 1 if len(data) > 10 and data[10] & 128 else 0)
    in_extension = False
    for _ in range(_MAX_BLOCKS):
        if at >= len(data):
            return
        if in_extension:
            size = data[at]
            at, in_extension = at + 1 + size, size > 0
        elif data[at] in b",;":
            return
        else:
            # 0x21 starts an extension and is followed by a label byte. Decoders skip every unknown
            # byte at this position.
            in_extension = data[at] == 0x21
            at += 2 if in_extension else 1
    raise BadImage(
        "The GIF picture has more extension blocks than any editor writes.",
        max_blocks=_MAX_BLOCKS,
    )
