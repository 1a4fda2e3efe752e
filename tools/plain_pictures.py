"""Builds simple pictures for tests in memory."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image

RED, GREEN, BLUE = (200, 20, 20), (20, 200, 20), (20, 20, 200)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """Encode an image. `kind` is the name of a format in Pillow."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(
    colour: tuple[int, int, int] = RED, kind: str = "JPEG", size: tuple[int, int] = (120, 60)
) -> bytes:
    """Return a picture of one colour.

    The tests' colour reader reads a red picture as SC1 2,5,4,7,3 and a green one as SC1 1,1,1,1,1.
    It refuses a blue one.
    """
    return encode(Image.new("RGB", size, colour), kind)


def png(width: int, height: int, *, bits: int = 1, colour_type: int = 0) -> bytes:
    """Return a valid PNG whose pixels are all zero. The file is small even with many pixels."""
    samples = {0: 1, 2: 3, 6: 4}[colour_type]
    packer = zlib.compressobj(9)
    row = bytes(1 + (width * bits * samples + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", data)
        + _chunk(b"IEND", b"")
    )


def with_text_bomb(picture: bytes, unpacked: int = 100_000_000) -> bytes:
    """Return the PNG with a compressed text chunk that decompresses to `unpacked` bytes."""
    return (
        picture[:33] + _chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(unpacked), 9)) + picture[33:]
    )


def many_scans(scans: int, size: tuple[int, int] = (400, 300), subsampling: int = 2) -> bytes:
    """Return a progressive JPEG with `scans` scans. Its header claims `size` in pixels.

    The last scan is repeated, so the file stays small.
    """
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), RED).save(buffer, "JPEG", progressive=True, subsampling=subsampling)
    picture = buffer.getvalue()
    at = picture.index(b"\xff\xc2") + 5
    picture = picture[:at] + struct.pack(">HH", size[1], size[0]) + picture[at + 4 : -2]
    last = picture[picture.rindex(b"\xff\xda") :]
    return picture + last * (scans - picture.count(b"\xff\xda")) + b"\xff\xd9"


def many_frames(frames: int = 60) -> bytes:
    """Return a GIF with `frames` frames: the first is red, the others are blue."""
    first, *rest = [
        Image.new("RGB", (400, 300), RED if not at else (20, 20, 100 + at)) for at in range(frames)
    ]
    return encode(first, "GIF", save_all=True, append_images=rest)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
