"""The gallery of failures: a small picture of each, with the true code and the reading."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, replace
from itertools import product, zip_longest

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from keylike.images.photo import Photo, open_photo, read_photo_file
from keylike.readers.caliper.overlay import draw_overlay
from keylike.readers.contract import CutLine, Drawing, Point, Reading
from keylike.readers.evaluation.verdict import Verdict

# Width and height of a picture in pixels. It is shown 300 pixels wide, and the letters of the
# overlay are then still legible.
SIZE = (420, 280)
# Largest size of a JPEG in bytes; 24 of them take 480 kB of base64. If a noisy picture is larger,
# it gets a lower quality first, and then a smaller size.
MOST_BYTES = 15_000
_SCALES, _QUALITIES = (1.0, 0.75, 0.5), (78, 66, 54, 42)
# Largest share of the picture's width or height that the blade takes.
_FILLED = 0.66
# RGB colour of the area outside the photo.
_BEYOND = (38, 40, 43)


@dataclass(frozen=True, slots=True)
class Digit:
    """The true depth of one cut and the depth that was read. One of them may be missing (None)."""

    truth: int | None
    read: int | None


@dataclass(frozen=True, slots=True)
class Failure:
    """One entry of the gallery.

    `coded` is True if the photo's label has a code. `read_keyway` and `confidence` are None for a
    refusal. `refusal` is the reason and the message of a refusal, and None for a reading.
    """

    file: str
    tier: str
    keyway: str
    coded: bool
    read_keyway: str | None
    digits: tuple[Digit, ...]
    confidence: float | None
    refusal: tuple[str, str] | None
    picture: str
    size: tuple[int, int]


def failure(verdict: Verdict) -> Failure:
    """Return the entry for one verdict. Its photo is opened again."""
    shot, result = verdict.shot, verdict.result
    read = result if isinstance(result, Reading) else None
    image = picture(open_photo(read_photo_file(shot.path)), read)
    data, size = _jpeg(image)
    return Failure(
        file=shot.path.name,
        tier=shot.tier,
        keyway=shot.keyway,
        coded=shot.codes is not None,
        read_keyway=read.keyway if read else None,
        digits=tuple(
            Digit(*pair) for pair in zip_longest(shot.codes or (), read.codes if read else ())
        ),
        confidence=read.confidence if read else None,
        refusal=None if isinstance(result, Reading) else (result.reason.value, result.message),
        picture="data:image/jpeg;base64," + base64.b64encode(data).decode(),
        size=size,
    )


def picture(photo: Photo, reading: Reading | None) -> Image.Image:
    """Return a small version of the photo.

    If the reading has coordinates, it is drawn on the blade, and the picture is turned so that the
    tip points to the right.
    """
    image = Image.fromarray(photo.pixels)
    if not reading or not reading.drawing:
        image.thumbnail(SIZE)
        return image
    turn, scale, corner = _layout(reading.drawing)
    back = turn.T / scale
    offset = turn.T @ corner
    # Affine transformation from each pixel of the small picture to its position in the photo.
    affine = (back[0, 0], back[0, 1], offset[0], back[1, 0], back[1, 1], offset[1])
    small = image.transform(
        SIZE, Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC, fillcolor=_BEYOND
    )

    def move(point: Point) -> Point:
        x, y = (turn @ point - corner) * scale
        return float(x), float(y)

    lines = tuple(
        CutLine(line.position, move(line.foot), move(line.root))
        for line in reading.drawing.cut_lines
    )
    drawing = Drawing(tuple(move(point) for point in reading.drawing.outline), lines, SIZE)
    return draw_overlay(replace(photo, pixels=np.asarray(small)), replace(reading, drawing=drawing))


def _layout(drawing: Drawing) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """Return the transformation that moves the blade to the centre of a picture of SIZE.

    Returns:
        A rotation matrix of shape (2, 2), the scale, and the upper left corner of the picture in
        pixels of the rotated photo.
    """
    feet = [line.foot for line in drawing.cut_lines]
    along = np.subtract(feet[-1], feet[0]) if len(feet) > 1 else np.array([1.0, 0.0])
    along = along / max(float(np.hypot(*along)), 1e-9)
    turn = np.array([along, [-along[1], along[0]]])
    points = (
        np.array([*drawing.outline, *feet, *(line.root for line in drawing.cut_lines)]) @ turn.T
    )
    low, high = points.min(0), points.max(0)
    scale = float((np.array(SIZE) * _FILLED / np.maximum(high - low, 1.0)).min())
    return turn, scale, (low + high) / 2 - np.array(SIZE) / scale / 2


def _jpeg(image: Image.Image) -> tuple[bytes, tuple[int, int]]:
    """Return the picture as a JPEG of at most MOST_BYTES, and its width and height in pixels.

    If even the smallest version is larger, it is returned.
    """
    attempts = list(product(_SCALES, _QUALITIES))
    for scale, quality in attempts:
        smaller = image.copy()
        smaller.thumbnail((SIZE[0] * scale, SIZE[1] * scale))
        file = io.BytesIO()
        smaller.save(file, "JPEG", quality=quality, optimize=True, progressive=True)
        if file.tell() <= MOST_BYTES or (scale, quality) == attempts[-1]:
            break
    return file.getvalue(), smaller.size
