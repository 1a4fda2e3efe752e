"""Decode the bytes of a picture into one upright, size-bounded RGB photo, or refuse them."""

from __future__ import annotations

import errno
import io
import math
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from keylike.errors import (
    RETRY_AFTER_S,
    BadImage,
    ImageTooLarge,
    KeylikeError,
    NoImage,
    Overloaded,
    UnsupportedImageType,
)
from keylike.images.formats import ACCEPTED, image_format, other_format
from keylike.images.image_guard import (
    MAX_SCANS,
    JpegStructure,
    check_gif,
    jpeg_structure,
    pixel_chunks,
)
from keylike.images.iso_media import av1_sizes

# Peak memory above the idle process in bytes per pixel, measured with Pillow 13.0 and pillow-heif
# 1.4 on 16 to 50 megapixels: decoding at reduced size, whole rows, and several full copies.
_REDUCED_BYTES, _ROWS_BYTES, _COPIES_BYTES = 1.0, 5.0, 18.0

# JPEG pictures that are decoded at reduced size may have this many times the pixels of others, for
# phones with 108 and 200 megapixels.
REDUCED_FACTOR = 4
_END_OF_IMAGE = b"\xff\xd9"
# Any bytes that decode to a noisy picture.
_OTHER_END = bytes(range(1, 255, 2))
# Rows at the bottom that a JPEG without its end may lack, if they are a small share of the picture:
# the last row of blocks, and those that smoothing changes with it.
_UNCERTAIN_ROWS, _UNCERTAIN_SHARE = 24, 0.04

# A lossless WebP of one megapixel can make its decoder allocate 360 MB for tables. No header
# reveals this, so only one such picture is decoded at a time.
_LOSSLESS_WEBP = threading.Lock()
# Errors of the machine and not of the picture. Pillow loads a decoder from a file at first use.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
# EXIF 2.3, tag Orientation: the operation that turns the stored picture upright.
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """One decoded, upright picture.

    Attributes:
        pixels: Array of shape (height, width, 3), uint8, RGB, read-only.
        size: Width and height of the original in pixels, after the EXIF rotation.
        format: One of `ACCEPTED`.
        scale: Pixels of the photo per pixel of the original, at most 1.
    """

    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    format: str
    scale: float


class _Limits(NamedTuple):
    pixels: int
    memory: int


def open_photo(
    data: bytes,
    *,
    max_bytes: int = 10_000_000,
    max_pixels: int = 50_000_000,
    max_memory: int = 250_000_000,
    long_side: int = 2048,
) -> Photo:
    """Decode `data` to a photo.

    The content determines the format. Sizes are checked before anything is decoded.

    Args:
        data: The file.
        max_bytes: Largest file.
        max_pixels: Largest picture. A JPEG that is decoded at reduced size may have four times as
            many pixels.
        max_memory: Bytes for decoding. This lowers `max_pixels` for formats that cannot be decoded
            at reduced size: with 250 MB to 13.8 megapixels for WebP and AVIF, while JPEG, PNG, GIF
            and the HEIC of phones keep 50.
        long_side: Longer side of the photo in pixels; larger pictures are reduced.

    Raises:
        NoImage: `data` is empty.
        ImageTooLarge: The file has too many bytes, or its header states too many pixels.
        UnsupportedImageType: The format is not in `ACCEPTED`.
        BadImage: The picture is truncated or corrupt.
        Overloaded: There is not enough memory at present.
    """
    if not data:
        raise NoImage("The picture is empty: the file has no bytes.")
    if len(data) > max_bytes:
        raise ImageTooLarge(
            f"The picture is larger than {max_bytes / 1e6:g} MB.", max_bytes=max_bytes
        )
    kind = image_format(data)
    if kind is None:
        raise _unsupported(data)
    limits = _Limits(max_pixels, max_memory)
    try:
        return (
            _decode_heic(data, limits, long_side)
            if kind == "HEIC"
            else _decode(data, kind, limits, long_side)
        )
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        factor = REDUCED_FACTOR if kind == "JPEG" else 1
        raise _too_many_pixels(kind, max_pixels * factor) from None
    except KeylikeError:
        raise
    # Hostile bytes make decoders raise almost anything: struct.error, SyntaxError, KeyError …
    except Exception as error:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) in _EXHAUSTED:
            raise Overloaded(
                "There is not enough memory to open this picture now.", retry_after_s=RETRY_AFTER_S
            ) from None
        raise _corrupt(kind) from error


def photo_from_image(image: Image.Image, *, long_side: int = 2048) -> Photo:
    """Return the photo of a picture that the program itself opened or drew with Pillow.

    None of the limits of `open_photo` apply. Pictures of clients must go through `open_photo`.

    Args:
        image: A picture in any mode; an EXIF orientation is applied.
        long_side: Longer side of the photo in pixels; larger pictures are reduced.
    """
    turn = _TURNS.get(_orientation(image))
    upright = image if turn is None else image.transpose(turn)
    width = upright.width
    small = _shrink(
        upright.size, lambda top, bottom: upright.crop((0, top, width, bottom)), long_side
    )
    return _photo(small, upright.size, image.format or "PNG")


def jpeg_bytes_per_pixel(image: Image.Image, scans: int) -> float:
    """Return the memory for decoding a JPEG.

    With several scans, libjpeg keeps two bytes for each coefficient of each component.
    """
    if scans <= 1 or not isinstance(image, JpegImageFile):
        return _REDUCED_BYTES
    samples = [(across, down) for _, across, down, _ in image.layer]
    return (
        2
        * sum(across * down for across, down in samples)
        / (max(a for a, _ in samples) * max(d for _, d in samples))
    )


def heic_bytes_per_pixel(mode: str, info: dict[str, Any]) -> float:
    """Return the memory for decoding a HEIC.

    Phones write 8 bits in 4:2:0. Other depths, subsamplings and transparency need several
    conversions.
    """
    plain = mode == "RGB" and info.get("bit_depth") == 8 and info.get("chroma") not in (422, 444)
    return _ROWS_BYTES if plain else _COPIES_BYTES


def bytes_per_pixel(kind: str) -> float:
    """Return the memory for decoding the other formats.

    WebP and AVIF decoders keep several full frames, those of PNG and GIF only the picture.
    """
    return _COPIES_BYTES if kind in ("WEBP", "AVIF") else _ROWS_BYTES


def _corrupt(kind: str) -> BadImage:
    return BadImage(f"The {kind} picture is truncated or corrupt.", format=kind)


def _unsupported(data: bytes) -> UnsupportedImageType:
    name = other_format(data)
    subject = f"{name} files are not supported." if name else "This is not a picture."
    advice = "Send a photo as JPEG, PNG, WebP, HEIC, AVIF or GIF."
    return UnsupportedImageType(f"{subject} {advice}", accepted=list(ACCEPTED))


def _too_many_pixels(kind: str, max_pixels: int) -> ImageTooLarge:
    megapixels = math.floor(max_pixels / 1e5) / 10
    return ImageTooLarge(
        f"{kind} pictures of this kind may have {megapixels:g} megapixels at most.",
        format=kind,
        max_pixels=max_pixels,
    )


def _check_size(kind: str, size: tuple[int, int], max_pixels: float) -> None:
    if size[0] * size[1] > max_pixels:
        raise _too_many_pixels(kind, int(max_pixels))


def _max_jpeg_pixels(
    image: Image.Image, jpeg: JpegStructure, limits: _Limits, long_side: int
) -> float:
    """Return the largest number of pixels of a JPEG.

    A picture that is decoded at reduced size takes little memory, so it may be larger. The number
    of scans bounds the time, because the decoder processes the whole picture for each.
    """
    reduced = _draft_step(image.size, long_side) > 1
    # A picture without its end is decoded twice.
    passes = jpeg.scans if jpeg.ended else 2 * jpeg.scans
    return min(
        limits.pixels * (REDUCED_FACTOR if reduced else 1),
        limits.pixels * MAX_SCANS / max(1, passes),
        limits.memory / jpeg_bytes_per_pixel(image, jpeg.scans),
    )


def _decode(data: bytes, kind: str, limits: _Limits, long_side: int) -> Photo:
    if kind == "PNG":
        data = pixel_chunks(data)
    jpeg = jpeg_structure(data) if kind == "JPEG" else None
    _check_structure(data, kind, limits)
    truncated = jpeg is not None and not jpeg.ended
    whole = _coded(data) + _END_OF_IMAGE if truncated else data
    with _decoder_lock(data, kind), Image.open(io.BytesIO(whole), formats=[kind]) as image:
        size = image.size
        if jpeg:
            _check_size(kind, size, _max_jpeg_pixels(image, jpeg, limits, long_side))
        else:
            _check_size(kind, size, min(limits.pixels, limits.memory / bytes_per_pixel(kind)))
        _draft(image, long_side)
        image.load()
        if (
            jpeg
            and truncated
            and not (jpeg.complete and _has_all_rows(image, data, size[1], long_side))
        ):
            raise _corrupt(kind)
        turn = _TURNS.get(_orientation(image))
        width = image.width
        if image.mode == "RGB" and not image.has_transparency_data and max(image.size) <= long_side:
            small: Image.Image = image
        else:
            small = _shrink(
                image.size, lambda top, bottom: image.crop((0, top, width, bottom)), long_side
            )
    if turn in (_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8]):
        size = size[1], size[0]
    return _photo(small if turn is None else small.transpose(turn), size, kind)


def _coded(data: bytes) -> bytes:
    """Return a JPEG that lacks its end without the filler that followed its last byte."""
    coded = data.rstrip(b"\0\xff")
    # A byte of 255 in the coded data is followed by a zero.
    return coded + b"\xff\0" if data[len(coded) :].startswith(b"\xff\0") else coded


def _has_all_rows(image: Image.Image, data: bytes, height: int, long_side: int) -> bool:
    """Return True if a JPEG that lacks its end has the coded data of all its rows.

    libjpeg fills up missing data without an error. The file has the rows that are the same whatever
    bytes follow it.

    Args:
        image: The picture, decoded as if it ended here.
        data: The file.
        height: Height of the original in pixels.
        long_side: As for `_draft`.
    """
    longer = _coded(data) + _OTHER_END + _END_OF_IMAGE
    with Image.open(io.BytesIO(longer), formats=["JPEG"]) as other:
        _draft(other, long_side)
        other.load()
        certain = image.height
        if height * _UNCERTAIN_SHARE >= _UNCERTAIN_ROWS:
            certain -= math.ceil(_UNCERTAIN_ROWS * image.height / height)
        return np.array_equal(np.asarray(image)[:certain], np.asarray(other)[:certain])


def _decode_heic(data: bytes, limits: _Limits, long_side: int) -> Photo:
    """Decode without Pillow, which would keep a second copy. The decoder applies the rotation."""
    _check_structure(data, "HEIC", limits)
    heif = pillow_heif.open_heif(data)
    pixel_bytes = heic_bytes_per_pixel(heif.mode, heif.info)
    _check_size("HEIC", heif.size, min(limits.pixels, limits.memory / pixel_bytes))
    pixels = np.asarray(heif)
    width, height = heif.size
    small = _shrink(
        (width, height), lambda top, bottom: Image.fromarray(pixels[top:bottom, :width]), long_side
    )
    return _photo(small, (width, height), "HEIC")


def _check_structure(data: bytes, kind: str, limits: _Limits) -> None:
    """Refuse files that keep a decoder busy or are larger than they claim."""
    if kind == "GIF":
        check_gif(data)
    elif data[8:12] == b"avis":
        raise UnsupportedImageType("Animated AVIF is not supported.", accepted=list(ACCEPTED))
    if kind in ("AVIF", "HEIC"):
        for size in av1_sizes(data):
            _check_size(kind, size, min(limits.pixels, limits.memory / bytes_per_pixel("AVIF")))


def _decoder_lock(data: bytes, kind: str) -> AbstractContextManager[object]:
    """Return the lock of WebP's lossless decoder, which also decodes transparency, or no lock."""
    return _LOSSLESS_WEBP if kind == "WEBP" and data[12:16] != b"VP8 " else nullcontext()


def _photo(upright: Image.Image, size: tuple[int, int], kind: str) -> Photo:
    pixels = np.asarray(upright)
    pixels.flags.writeable = False
    return Photo(pixels, size, kind, min(1.0, max(upright.size) / max(size)))


def _draft(image: Image.Image, long_side: int) -> None:
    """Let libjpeg decode at reduced size. This saves a resampling. Other formats ignore it."""
    step = _draft_step(image.size, long_side)
    width, height = image.size
    image.draft(None, (max(1, width // step), max(1, height // step)))


def _draft_step(size: tuple[int, int], long_side: int) -> int:
    """Return the smallest of 1, 2, 4 and 8 whose fraction of the size fits, or 8."""
    return next((step for step in (1, 2, 4) if -(-max(size) // step) <= long_side), 8)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, or 1 (upright) if there is none or the EXIF is broken."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _shrink(
    size: tuple[int, int], band: Callable[[int, int], Image.Image], long_side: int
) -> Image.Image:
    """Return an 8-bit RGB picture of bounded size.

    Works in bands of rows, because a copy of 50 megapixels in another mode would take 200 MB.

    Args:
        size: Width and height of the picture.
        band: Returns the rows from one number up to another, in any mode.
        long_side: Longer side of the result.
    """
    width, height = size
    factor = max(1, max(size) // long_side)
    small = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    step = 16 * factor
    for top in range(0, height, step):
        small.paste(
            _over_white(_eight_bits(band(top, min(top + step, height))).reduce(factor)),
            (0, top // factor),
        )
    small.thumbnail((long_side, long_side), Image.Resampling.BICUBIC)
    return small


def _eight_bits(band: Image.Image) -> Image.Image:
    """Convert to RGB, or RGBA if there is transparency. 16-bit grey keeps its high byte."""
    if band.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(band) >> 8).astype(np.uint8)).convert("RGB")
    mode = "RGBA" if band.has_transparency_data else "RGB"
    return band if band.mode == mode else band.convert(mode)


def _over_white(band: Image.Image) -> Image.Image:
    if band.mode == "RGB":
        return band
    white = Image.new("RGB", band.size, "white")
    white.paste(band, mask=band.getchannel("A"))
    return white
