"""Inserts broken EXIF data into a valid picture.

The offsets in its tables point behind the data, into the table itself, or to other wrong positions.
"""

from __future__ import annotations

import struct
import zlib
from random import Random

# Numbers of EXIF tags, numbers of values of a tag, and offsets of values.
_TAGS = (0x0112, 0x010F, 0x8769, 0x8825, 0x927C, 0x014A, 0x0201, 0x9286)
_COUNTS = (0, 1, 2, 3, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
_OFFSETS = (0, 1, 4, 7, 8, 10, 0x7FFFFFFF, 0xFFFFFFF0)


def insert_broken_exif(rng: Random, data: bytes) -> bytes:
    """Insert broken EXIF data into a JPEG, PNG or WebP. In other formats, append it."""
    block = _tiff(rng)
    if data.startswith(b"\xff\xd8"):
        body = b"Exif\0\0" + block
        return (
            data[:2]
            + b"\xff\xe1"
            + struct.pack(">H", min(0xFFFF, len(body) + 2))
            + body[: 0xFFFF - 2]
            + data[2:]
        )
    if data.startswith(b"\x89PNG"):
        return (
            data[:33]
            + struct.pack(">I", len(block))
            + b"eXIf"
            + block
            + struct.pack(">I", zlib.crc32(b"eXIf" + block))
            + data[33:]
        )
    if data[8:12] == b"WEBP":
        chunk = b"EXIF" + struct.pack("<I", len(block)) + block + b"\0" * (len(block) % 2)
        return data[:4] + struct.pack("<I", len(data) - 8 + len(chunk)) + data[8:] + chunk
    return data + block


def _tiff(rng: Random) -> bytes:
    order = rng.choice("<>")
    head = (b"II" if order == "<" else b"MM") + struct.pack(
        f"{order}HI", rng.choice((42, 42, 42, 43, 0)), rng.choice((8, 8, 8, *_OFFSETS))
    )
    entries = b"".join(
        struct.pack(
            f"{order}HHII",
            rng.choice(_TAGS),
            rng.randrange(14),
            rng.choice(_COUNTS),
            rng.choice((*_OFFSETS, rng.randrange(10), rng.getrandbits(32))),
        )
        for _ in range(rng.choice((0, 1, 3, 12, 500)))
    )
    count = rng.choice((len(entries) // 12, len(entries) // 12, 0xFFFF, 0))
    return (
        head
        + struct.pack(f"{order}H", count)
        + entries
        + struct.pack(f"{order}I", rng.choice(_OFFSETS))
    )
