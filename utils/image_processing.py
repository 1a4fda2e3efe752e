"""Turns the bytes of a picture into one upright, bounded RGB photo, and refuses everything that is not one."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
import pi_heif
from numpy.typing import NDArray
from PIL import Image

from utils.errors import BadImage, ImageTooLarge, NoImage, UnsupportedImageType

ACCEPTED = ("JPEG", "PNG", "WEBP", "HEIC", "AVIF", "GIF")

# Process-wide and once: `warnings.catch_warnings` is not safe between threads. Broken EXIF and the like are no news here.
warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
warnings.simplefilter("error", Image.DecompressionBombWarning)
pi_heif.register_heif_opener(thumbnails=False)

_ORIENTATION = 0x0112
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


def open_photo(data: bytes, *, max_bytes: int = 10_000_000, max_pixels: int = 50_000_000, long_side: int = 2048) -> Photo:
    """Decodes `data` to a photo whose longer side has at most `long_side` pixels.

    The format is told from the content alone. Raises NoImage (nothing there), ImageTooLarge (bytes, or pixels as the header
    gives them: checked before anything is decoded), UnsupportedImageType (not one of ACCEPTED), BadImage (truncated, corrupt).
    """
    if not data:
        raise NoImage("The picture is empty: the file that arrived has no bytes.")
    if len(data) > max_bytes:
        raise ImageTooLarge(f"The picture is larger than {max_bytes / 1e6:g} MB.", max_bytes=max_bytes)
    kind = image_format(data)
    if kind is None:
        raise UnsupportedImageType("This is not a picture Keylike can read.", accepted=list(ACCEPTED))
    try:
        return _decode(data, kind, max_pixels, long_side)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels(max_pixels) from None
    except ImageTooLarge:
        raise
    # Decoders meet hostile bytes with nearly every exception there is (struct.error, SyntaxError, KeyError, RuntimeError …).
    except Exception as broken:
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
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}:
        return "HEIC"
    return None


def _too_many_pixels(max_pixels: int) -> ImageTooLarge:
    return ImageTooLarge(f"The picture has more than {max_pixels / 1e6:g} megapixels.", max_pixels=max_pixels)


def _decode(data: bytes, kind: str, max_pixels: int, long_side: int) -> Photo:
    with Image.open(io.BytesIO(data), formats=["HEIF" if kind == "HEIC" else kind]) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise _too_many_pixels(max_pixels)
        _draft(image, long_side)
        image.load()
        turn = _TURNS.get(_orientation(image))
        upright = _to_rgb(image, long_side)
    if turn is not None:
        upright = upright.transpose(turn)
    if turn in (_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8]):
        width, height = height, width
    pixels = np.asarray(upright)
    pixels.flags.writeable = False
    return Photo(pixels, (width, height), kind, min(1.0, max(upright.size) / max(width, height)))


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


def _to_rgb(image: Image.Image, long_side: int) -> Image.Image:
    """Eight-bit RGB of bounded size, made band by band: a copy of 50 megapixels in another mode would take 200 MB more."""
    factor = max(1, max(image.size) // long_side)
    width, height = image.size
    small = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    step = 128 * factor
    for top in range(0, height, step):
        band = _over_white(image.crop((0, top, width, min(top + step, height))))
        small.paste(band.reduce(factor), (0, top // factor))
    small.thumbnail((long_side, long_side), Image.Resampling.BICUBIC)
    return small


def _over_white(band: Image.Image) -> Image.Image:
    """RGB of any mode: 16-bit scaled to its high byte, transparency laid over white."""
    if band.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(band) >> 8).astype(np.uint8)).convert("RGB")
    if not band.has_transparency_data:
        return band.convert("RGB")
    seen = band.convert("RGBA")
    white = Image.new("RGB", band.size, "white")
    white.paste(seen, mask=seen.getchannel("A"))
    return white
