"""Encodes Pillow images and arrays of pixels as JPEG or PNG."""

from __future__ import annotations

import importlib
import io
import struct
import zlib
from typing import Any

from keylike_client.errors import UnusablePhoto

# Options of JPEG. Without subsampling of the colours, the edges of the cuts stay sharp.
_JPEG = {"quality": 95, "subsampling": 0}
_ORIENTATION = 0x0112
# PNG's colour type by the number of channels (PNG 1.2, 4.1.1).
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_FAST = 1  # zlib's compression level


def encode_image(image: Any) -> bytes:
    """Return a Pillow image as JPEG, or as PNG if it has transparent parts.

    The orientation is the only metadata that is sent. The server turns the picture upright and puts
    transparent parts on white.
    """
    if image.mode.startswith(("I", "F")):
        raise UnusablePhoto(f"An image of mode {image.mode} must be converted to RGB first.")
    exif = type(image.getexif())()
    exif[_ORIENTATION] = image.getexif().get(_ORIENTATION, 1)
    buffer = io.BytesIO()
    if "A" in image.getbands() or "transparency" in image.info:
        image.convert("RGBA").save(buffer, "PNG", exif=exif)
    else:
        opaque = image if image.mode in ("RGB", "L") else image.convert("RGB")
        opaque.save(buffer, "JPEG", exif=exif, **_JPEG)
    return buffer.getvalue()


def encode_pixels(pixels: memoryview) -> bytes:
    """Return an array of pixels as an encoded picture.

    It is a JPEG if Pillow is installed. Otherwise it is a PNG, which is several times larger.

    Args:
        pixels: 8-bit samples of shape (height, width) or (height, width, channels). There may be
            one channel (grey), two (grey, alpha), three (RGB) or four (RGBA).

    Raises:
        UnusablePhoto: The array has another type or shape.
    """
    shape = pixels.shape or ()
    height, width, channels = (*shape, 1)[:3]
    if (
        pixels.format not in ("B", "<B")
        or not 2 <= pixels.ndim <= 3
        or channels not in _COLOUR_TYPES
        or 0 in shape
    ):
        raise UnusablePhoto(
            "An array of pixels must be uint8, of shape (height, width) or (height, width, 3)."
        )
    samples = pixels.tobytes()
    try:
        pillow = importlib.import_module("PIL.Image")
    except ImportError:
        return _png(samples, width, height, channels)
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    return encode_image(pillow.frombytes(mode, (width, height), samples))


def _png(samples: bytes, width: int, height: int, channels: int) -> bytes:
    row = width * channels
    # Each row begins with the number of its filter. 0 means that no filter is used.
    rows = b"".join(b"\0" + samples[at : at + row] for at in range(0, height * row, row))
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, _FAST)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
