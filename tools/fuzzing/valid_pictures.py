"""Builds small valid pictures in every accepted format, as input for mutations.

Each shows a key from the sample photos.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from PIL import Image, PngImagePlugin

ROOT = Path(__file__).resolve().parents[2]
_SAMPLES = ("sc1_01.jpg", "kw1_01.jpg", "sc4_01.jpg")
# Width and height in pixels. The reader refuses pictures below 32 pixels at once. So most broken
# pictures that can still be decoded take little time; a few are larger.
_SMALL, _LARGER = (28, 20), (200, 150)
_ORIENTATION, _MAKER, _GPS = 0x0112, 0x010F, 0x8825


@cache
def valid_pictures(larger: bool = False) -> tuple[bytes, ...]:
    """Return JPEG, PNG, WebP, AVIF, GIF and HEIC pictures. There are several variants of each.

    The HEIC pictures are files of at most 64x48 pixels, because Pillow cannot write this format.
    """
    size = _LARGER if larger else _SMALL
    stored = [
        (ROOT / "tests" / "data" / name).read_bytes() for name in ("plain.heic", "turned.heic")
    ]
    return (
        *itertools.chain.from_iterable(
            _variants(name, size) for name in (_SAMPLES[:1] if larger else _SAMPLES)
        ),
        *stored,
    )


def _variants(name: str, size: tuple[int, int]) -> Iterator[bytes]:
    with Image.open(ROOT / "samples" / name) as whole:
        picture = whole.convert("RGB").resize(size)
    frames = [picture, picture.rotate(180), picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    exif = _exif()
    animation = {"save_all": True, "append_images": frames[1:]}
    transparent = picture.convert("RGBA")
    transparent.putalpha(128)
    yield _encoded(picture, "JPEG", quality=80, exif=exif)
    yield _encoded(picture, "JPEG", progressive=True, subsampling=0)
    yield _encoded(picture.convert("CMYK"), "JPEG", restart_marker_blocks=2)
    yield _encoded(picture.convert("L"), "JPEG", comment=b"a key", icc_profile=bytes(300))
    yield _encoded(picture, "MPO", **animation)
    yield _encoded(picture, "PNG", exif=exif, pnginfo=_texts())
    yield _encoded(transparent, "PNG")
    yield _encoded(picture.quantize(16), "PNG", bits=4)
    yield _encoded(picture.convert("L").convert("I;16"), "PNG")
    yield _encoded(picture, "PNG", **animation, duration=20)
    yield _encoded(picture, "WEBP", quality=50, exif=exif)
    yield _encoded(transparent, "WEBP", lossless=True)
    yield _encoded(picture, "WEBP", **animation, duration=20)
    yield _encoded(picture, "AVIF", speed=10, max_threads=1, exif=exif)
    yield _encoded(transparent, "AVIF", speed=10, max_threads=1)
    yield _encoded(picture, "AVIF", speed=10, max_threads=1, **animation, duration=20)
    yield _encoded(picture.quantize(32), "GIF")
    yield _encoded(
        picture.quantize(8),
        "GIF",
        save_all=True,
        append_images=[frame.quantize(8) for frame in frames[1:]],
        transparency=0,
    )


def _exif() -> Image.Exif:
    """Return EXIF data as phones write it, with an orientation, a maker and a location."""
    exif = Image.Exif()
    exif[_ORIENTATION], exif[_MAKER] = 6, "Phone"
    exif.get_ifd(_GPS).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    return exif


def _texts() -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "bitting 1,2,3,4,5", zip=True)
    texts.add_itxt("Title", "a key", "en", "a key")
    return texts


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
