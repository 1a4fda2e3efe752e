"""Turns the bytes of a picture into one upright, bounded RGB photo, and refuses everything that is not one."""

from __future__ import annotations

import errno
import io
import math
import threading
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

from keylike.errors import (
    RETRY_AFTER_S,
    BadImage,
    ImageTooLarge,
    KeylikeError,
    NoImage,
    Overloaded,
    UnsupportedImageType,
)
from keylike.images.decoding_cost import bytes_a_pixel, heic_bytes_a_pixel, jpeg_bytes_a_pixel
from keylike.images.image_guard import check_gif, check_png, jpeg_scans
from keylike.images.iso_media import av1_sizes

ACCEPTED = ("JPEG", "PNG", "WEBP", "HEIC", "AVIF", "GIF")

# Process-wide and once: `warnings.catch_warnings` is not safe between threads. Broken EXIF and the like are no news here.
warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
warnings.simplefilter("error", Image.DecompressionBombWarning)
# Pillow keeps two freed blocks (16 MB each) for the next photo: fresh pages from the kernel cost as much as a third of the decoding.
Image.core.set_blocks_max(2)  # type: ignore[attr-defined]
pillow_heif.options.THUMBNAILS = pillow_heif.options.DEPTH_IMAGES = (
    pillow_heif.options.AUX_IMAGES
) = False

# A lossless WebP of a megapixel can make its decoder take 360 MB for tables that nothing but decoding tells of: not twice at a time.
_LOSSLESS_WEBP = threading.Lock()
_ORIENTATION = 0x0112
# What the machine lacks is no fault of the picture: a decoder that is loaded at its first picture needs a file.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
# EXIF 2.3, tag Orientation: what turns the stored picture upright.
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
    """One decoded picture, upright.

    `pixels` HxWx3 uint8 RGB, read-only; `size` width and height of the original in its pixels, after the EXIF turn;
    `format` one of ACCEPTED; `scale` pixels here for each pixel of the original, at most 1.
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
    """Decodes `data` to a photo whose longer side has at most `long_side` pixels.

    The format is told from the content alone. `max_memory`, bytes, lowers `max_pixels` for formats that cannot be decoded small:
    with 250 MB to 13.8 megapixels for WebP and AVIF, while JPEG, PNG, GIF and phones' HEIC keep 50. Raises NoImage (nothing
    there), ImageTooLarge (bytes, or pixels as the header gives them: checked before anything is decoded),
    UnsupportedImageType (not one of ACCEPTED), BadImage (truncated, corrupt), Overloaded (there is no memory for it now).
    """
    if not data:
        raise NoImage("The picture is empty: the file that arrived has no bytes.")
    if len(data) > max_bytes:
        raise ImageTooLarge(
            f"The picture is larger than {max_bytes / 1e6:g} MB.", max_bytes=max_bytes
        )
    kind = image_format(data)
    if kind is None:
        raise UnsupportedImageType(
            "This is not a picture Keylike can read.", accepted=list(ACCEPTED)
        )
    limits = _Limits(max_pixels, max_memory)
    try:
        return (
            _decode_heic(data, limits, long_side)
            if kind == "HEIC"
            else _decode(data, kind, limits, long_side)
        )
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels(kind, max_pixels) from None
    except KeylikeError:
        raise
    # Decoders meet hostile bytes with nearly every exception there is (struct.error, SyntaxError, KeyError, RuntimeError …).
    except Exception as broken:
        if isinstance(broken, MemoryError) or getattr(broken, "errno", None) in _EXHAUSTED:
            raise Overloaded(
                "There is not enough memory to open this picture now.", retry_after_s=RETRY_AFTER_S
            ) from None
        raise BadImage(f"The {kind} picture is truncated or corrupt.", format=kind) from broken


def image_format(data: bytes) -> str | None:
    """The name in ACCEPTED that the first bytes promise, or None."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _iso_media_format(data)
    return None


def _iso_media_format(data: bytes) -> str | None:
    """HEIC or AVIF by the brands of the leading `ftyp` box (ISO 14496-12); the same box also opens MP4 and CR3."""
    end = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & {
        b"heic",
        b"heix",
        b"heim",
        b"heis",
        b"hevc",
        b"hevx",
        b"hevm",
        b"hevs",
        b"mif1",
        b"msf1",
    }:
        return "HEIC"
    return None


def _too_many_pixels(kind: str, max_pixels: int) -> ImageTooLarge:
    most = math.floor(max_pixels / 1e5) / 10
    return ImageTooLarge(
        f"{kind} pictures of this sort may have {most:g} megapixels at most.",
        format=kind,
        max_pixels=max_pixels,
    )


def _check_size(kind: str, size: tuple[int, int], bytes_a_pixel: float, limits: _Limits) -> None:
    most = min(limits.pixels, int(limits.memory / bytes_a_pixel))
    if size[0] * size[1] > most:
        raise _too_many_pixels(kind, most)


def _decode(data: bytes, kind: str, limits: _Limits, long_side: int) -> Photo:
    scans = _look_through(data, kind, limits)
    with _turn(data, kind), Image.open(io.BytesIO(data), formats=[kind]) as image:
        size = image.size
        _check_size(
            kind, size, jpeg_bytes_a_pixel(image, scans) if scans else bytes_a_pixel(kind), limits
        )
        _draft(image, long_side)
        image.load()
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


def _decode_heic(data: bytes, limits: _Limits, long_side: int) -> Photo:
    """Past Pillow, which would hold the whole picture a second time; the decoder turns it upright by itself."""
    _look_through(data, "HEIC", limits)
    heif = pillow_heif.open_heif(data)
    _check_size("HEIC", heif.size, heic_bytes_a_pixel(heif.mode, heif.info), limits)
    pixels = np.asarray(heif)
    width, height = heif.size
    small = _shrink(
        (width, height), lambda top, bottom: Image.fromarray(pixels[top:bottom, :width]), long_side
    )
    return _photo(small, (width, height), "HEIC")


def _look_through(data: bytes, kind: str, limits: _Limits) -> int:
    """Refuses what would keep the decoder busy without end, or is larger than it says. The scans of a JPEG, otherwise 0."""
    if kind == "JPEG":
        return jpeg_scans(data)
    if kind == "PNG":
        check_png(data)
    elif kind == "GIF":
        check_gif(data)
    elif data[8:12] == b"avis":
        raise UnsupportedImageType("Moving AVIF pictures are not read.", accepted=list(ACCEPTED))
    if kind in ("AVIF", "HEIC"):
        for size in av1_sizes(data):
            _check_size(kind, size, bytes_a_pixel("AVIF"), limits)
    return 0


def _turn(data: bytes, kind: str) -> AbstractContextManager[object]:
    """Lets one picture at a time into WebP's lossless decoder, which also reads the transparency of others."""
    return _LOSSLESS_WEBP if kind == "WEBP" and data[12:16] != b"VP8 " else nullcontext()


def _photo(upright: Image.Image, size: tuple[int, int], kind: str) -> Photo:
    pixels = np.asarray(upright)
    pixels.flags.writeable = False
    return Photo(pixels, size, kind, min(1.0, max(upright.size) / max(size)))


def _draft(image: Image.Image, long_side: int) -> None:
    """Lets libjpeg decode at 1/2, 1/4 or 1/8: the largest that fits, so that no resampling follows; no other format can."""
    width, height = image.size
    for step in (1, 2, 4, 8):
        if -(-max(width, height) // step) <= long_side or step == 8:
            image.draft(None, (max(1, width // step), max(1, height // step)))
            return


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) where there is none or the EXIF block is broken; HEIC is turned by its decoder."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _shrink(
    size: tuple[int, int], band: Callable[[int, int], Image.Image], long_side: int
) -> Image.Image:
    """Eight-bit RGB of bounded size, made from bands of rows (`band` gives those from one up to another, in any mode).

    A copy of 50 megapixels in another mode would take 200 MB more.
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
    """RGB, or RGBA where anything shines through; 16-bit grey is scaled to its high byte."""
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
