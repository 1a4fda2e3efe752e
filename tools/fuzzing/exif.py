"""Mutilated EXIF: tables that point past their end, into themselves or at nothing, in a picture that is sound otherwise."""

from __future__ import annotations

import struct
import zlib
from random import Random

_TAGS = (0x0112, 0x010F, 0x8769, 0x8825, 0x927C, 0x014A, 0x0201, 0x9286)
_COUNTS = (0, 1, 2, 3, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
_OFFSETS = (0, 1, 4, 7, 8, 10, 0x7FFFFFFF, 0xFFFFFFF0)


def exif_mutilated(chance: Random, data: bytes) -> bytes:
    """A JPEG, PNG or WebP with such a block put in front; any other picture with it behind."""
    block = _tiff(chance)
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


def _tiff(chance: Random) -> bytes:
    order = chance.choice("<>")
    head = (b"II" if order == "<" else b"MM") + struct.pack(
        f"{order}HI", chance.choice((42, 42, 42, 43, 0)), chance.choice((8, 8, 8, *_OFFSETS))
    )
    entries = b"".join(
        struct.pack(
            f"{order}HHII",
            chance.choice(_TAGS),
            chance.randrange(14),
            chance.choice(_COUNTS),
            chance.choice((*_OFFSETS, chance.randrange(10), chance.getrandbits(32))),
        )
        for _ in range(chance.choice((0, 1, 3, 12, 500)))
    )
    count = chance.choice((len(entries) // 12, len(entries) // 12, 0xFFFF, 0))
    return (
        head
        + struct.pack(f"{order}H", count)
        + entries
        + struct.pack(f"{order}I", chance.choice(_OFFSETS))
    )
