"""Decode the bytes of a picture into an upright RGB photo of limited size, or refuse them."""

from __future__ import annotations

import errno
import io
import math
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
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
from keylike.images.iso_media import CodedSizes, coded_sizes

# Memory for decoding, in bytes per pixel of the picture: at reduced size, row by row, and with
# several full copies. It is the peak above the idle process, measured with Pillow 13.0 and
# pillow-heif 1.4 on pictures of 16 to 50 megapixels.
_REDUCED_BYTES, _ROWS_BYTES, _COPIES_BYTES = 1.0, 5.0, 18.0

# JPEG pictures that are decoded at reduced size may have this many times as many pixels as other
# pictures, because some phones take photos of 108 and 200 megapixels.
REDUCED_FACTOR = 4
_END_OF_IMAGE = b"\xff\xd9"
# Bytes that are decoded after the end of a truncated JPEG, to see which rows they change. Any bytes
# that decode to a noisy picture would do.
_OTHER_END = bytes(range(1, 255, 2))
# Number of rows at the bottom that a truncated JPEG may lack, if they are at most this share of its
# height. They are the last row of blocks and the rows that smoothing changes together with it.
_UNCERTAIN_ROWS, _UNCERTAIN_SHARE = 24, 0.04

# A lock for decoding lossless WebP, so that only one such picture is decoded at a time. With one
# megapixel it can make its decoder allocate 850 MB for tables, and no header reveals this.
_LOSSLESS_WEBP = threading.Lock()
# Error numbers that mean a lack of open files or memory, not a bad picture. They can occur because
# Pillow loads each decoder from a file when it is first used.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
# The EXIF tag Orientation (EXIF 2.3), and for each of its values the operation that turns the
# stored picture upright.
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
    """Decode a picture file to a photo.

    The first bytes of the file determine its format. Sizes are checked before decoding.

    Args:
        data: The bytes of the file.
        max_bytes: Largest size of the file in bytes.
        max_pixels: Largest number of pixels. A JPEG that is decoded at reduced size may have four
            times as many.
        max_memory: Largest memory for decoding in bytes. It lowers `max_pixels` for formats whose
            decoders need much memory. With the defaults, WebP and AVIF may have 13.8 megapixels;
            JPEG, PNG, GIF and HEIC of phones may have 50.
        long_side: Longer side of the photo in pixels; larger pictures are reduced.

    Raises:
        NoImage: `data` is empty.
        ImageTooLarge: The file has too many bytes, or its header states too many pixels.
        UnsupportedImageType: The format is not in `ACCEPTED`.
        BadImage: The picture is truncated or corrupt.
        Overloaded: There is not enough memory now.
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


def read_photo_file(path: Path, max_bytes: int = 10_000_000) -> bytes:
    """Return the bytes of a file, at most one more than a picture may have.

    `open_photo` refuses a picture of that size. A file may be endless, such as /dev/zero.

    Raises:
        OSError: The file cannot be opened or read.
    """
    with path.open("rb") as file:
        return file.read(max_bytes + 1)


def photo_from_image(image: Image.Image, *, long_side: int = 2048) -> Photo:
    """Convert a Pillow image to a photo.

    This is for trusted images: the limits of `open_photo` are not checked. Pictures of clients must
    be opened with `open_photo`.

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
    """Return the memory for decoding a JPEG, in bytes per pixel.

    If there are several scans, libjpeg keeps two bytes for each coefficient of each component.
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
    """Return the memory for decoding a HEIC picture, in bytes per pixel.

    Phones write 8 bits in 4:2:0. Other depths, subsamplings and transparency need several
    conversions.
    """
    plain = mode == "RGB" and info.get("bit_depth") == 8 and info.get("chroma") not in (422, 444)
    return _ROWS_BYTES if plain else _COPIES_BYTES


def bytes_per_pixel(kind: str) -> float:
    """Return the memory for decoding WebP, AVIF, PNG or GIF, in bytes per pixel.

    The decoders of WebP and AVIF keep several copies of the picture, those of PNG and GIF only one.
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
    """Return the largest number of pixels that a JPEG may have.

    A JPEG that is decoded at reduced size needs little memory, so it may have more pixels. A JPEG
    with many scans may have fewer, because the decoder processes the whole picture for each scan.
    """
    reduced = _draft_step(image.size, long_side) > 1
    # A truncated picture is decoded twice.
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
    """Return a truncated JPEG without the filler bytes after its coded data."""
    coded = data.rstrip(b"\0\xff")
    # In coded data, a byte of 255 is always followed by a zero, so these two bytes are not filler.
    return coded + b"\xff\0" if data[len(coded) :].startswith(b"\xff\0") else coded


def _has_all_rows(image: Image.Image, data: bytes, height: int, long_side: int) -> bool:
    """Return True if a truncated JPEG contains the coded data of all its rows.

    libjpeg fills in missing rows without an error. To find them, this decodes the file once more
    with other bytes at its end. The rows that stay the same are in the file.

    Args:
        image: The picture, decoded from the file with an end marker appended.
        data: The bytes of the file.
        height: Height of the original in pixels.
        long_side: Longer side of the photo in pixels, as for `_draft`.
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
    coded = coded_sizes(data, limits.pixels)
    _check_size("HEIC", coded.largest, min(limits.pixels, limits.memory / _ROWS_BYTES))
    _check_av1_sizes("HEIC", coded, limits)
    heif = pillow_heif.open_heif(data)
    # The picture may be a crop of a larger one.
    pixel_bytes = heic_bytes_per_pixel(heif.mode, heif.info)
    _check_size("HEIC", coded.largest, min(limits.pixels, limits.memory / pixel_bytes))
    pixels = np.asarray(heif)
    width, height = heif.size
    small = _shrink(
        (width, height), lambda top, bottom: Image.fromarray(pixels[top:bottom, :width]), long_side
    )
    return _photo(small, (width, height), "HEIC")


def _check_structure(data: bytes, kind: str, limits: _Limits) -> None:
    """Check the structure of a GIF or AVIF file before decoding.

    Raises:
        BadImage: The structure would take a decoder too long, or too much memory.
        ImageTooLarge: The coded data has too many pixels.
        UnsupportedImageType: The file is an animated AVIF.
    """
    if kind == "GIF":
        check_gif(data)
    elif data[8:12] == b"avis":
        raise UnsupportedImageType("Animated AVIF is not supported.", accepted=list(ACCEPTED))
    if kind == "AVIF":
        _check_av1_sizes(kind, coded_sizes(data, limits.pixels), limits)


def _check_av1_sizes(kind: str, coded: CodedSizes, limits: _Limits) -> None:
    for size in coded.av1:
        _check_size(kind, size, min(limits.pixels, limits.memory / bytes_per_pixel("AVIF")))


def _decoder_lock(data: bytes, kind: str) -> AbstractContextManager[object]:
    """Return the lock for WebP files that may use the lossless decoder; no lock for other files.

    WebP files with transparency use that decoder too.
    """
    return _LOSSLESS_WEBP if kind == "WEBP" and data[12:16] != b"VP8 " else nullcontext()


def _photo(upright: Image.Image, size: tuple[int, int], kind: str) -> Photo:
    pixels = np.asarray(upright)
    pixels.flags.writeable = False
    return Photo(pixels, size, kind, min(1.0, max(upright.size) / max(size)))


def _draft(image: Image.Image, long_side: int) -> None:
    """Make libjpeg decode at reduced size, which is faster. For other formats it has no effect."""
    step = _draft_step(image.size, long_side)
    width, height = image.size
    image.draft(None, (max(1, width // step), max(1, height // step)))


def _draft_step(size: tuple[int, int], long_side: int) -> int:
    """Return the smallest of 1, 2, 4 and 8 by which the size must be divided to fit `long_side`.

    If even 8 is not enough, return 8.
    """
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
    """Return a picture as 8-bit RGB, reduced to at most `long_side` pixels.

    It is converted in bands of rows, because a copy of 50 megapixels in another mode takes 200 MB.

    Args:
        size: Width and height of the picture.
        band: Returns the rows from its first argument up to, but without, its second one.
        long_side: Longer side of the result in pixels.
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
    """Convert to RGB, or to RGBA if there is transparency. Of 16-bit grey, use the high byte."""
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
