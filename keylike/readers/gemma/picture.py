"""Convert a photo into the square picture that Gemma sees: crop, resize and enhance it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from keylike.readers.caliper.frames import PADDING, cut_square, project
from keylike.readers.gemma.manifest import Picture

Array = NDArray[Any]

# Coordinates in millimetres in the plane of the key (see readers/caliper/frames.py): the centre and
# the side of the square for crop "level", and the corners of the whole key for crop "box". The
# square contains the blade, the shoulder and the edge of the bow. If it has 768 pixels, there are
# 16 pixels per millimetre, or 6 per Schlage depth step.
_BLADE_MIDDLE, _BLADE_SIDE = (10.0, 4.3), 48.0
_WHOLE_KEY = np.array([[-34.0, -10.0], [34.0, -10.0], [34.0, 19.0], [-34.0, 19.0]])


class KeyFinder(Protocol):
    """An object that finds the key in an RGB photo of shape (height, width, 3)."""

    def spot(self, picture: Array) -> Array | None:
        """Return the matrix, shape (3, 3), from millimetres in the key's plane to pixels, or None.

        It contains shift, rotation and scale, but no tilt. None means that no key was found.
        """


@dataclass(frozen=True, slots=True)
class Framed:
    """A square picture for the model.

    Attributes:
        square: The picture.
        px_per_mm: Photo pixels per millimetre of the key, or None if no key was located.
    """

    square: Image.Image
    px_per_mm: float | None


@dataclass(frozen=True, slots=True)
class Framer:
    """A converter of photos, as the manifest specifies.

    It uses the whole photo if there is no finder, or if the finder finds no key.
    """

    picture: Picture
    finder: KeyFinder | None

    def frame(self, pixels: Array, side: int) -> Framed:
        """Return the square of `side` pixels for an RGB photo of shape (height, width, 3)."""
        pose = self.finder.spot(pixels) if self.finder else None
        if pose is not None and self.picture.crop == "level":
            square = Image.fromarray(level(pixels, pose, side))
        elif pose is not None and self.picture.crop == "box":
            square = self._fitted(box(pixels, pose), side)
        else:
            square = self._fitted(Image.fromarray(pixels), side)
        return Framed(self._enhanced(square), None if pose is None else math.hypot(*pose[:2, 0]))

    def _fitted(self, image: Image.Image, side: int) -> Image.Image:
        if self.picture.fit == "squash":
            return image.resize((side, side), Image.Resampling.LANCZOS)
        return ImageOps.pad(image, (side, side), Image.Resampling.LANCZOS, color=(PADDING,) * 3)

    def _enhanced(self, image: Image.Image) -> Image.Image:
        if self.picture.contrast != 1:
            image = ImageEnhance.Contrast(image).enhance(self.picture.contrast)
        if self.picture.sharpness != 1:
            image = ImageEnhance.Sharpness(image).enhance(self.picture.sharpness)
        return image


def level(pixels: Array, pose: Array, side: int) -> Array:
    """Return the blade, turned so that it is horizontal with the bow on the left.

    The result has the shape (side, side, 3). Areas outside the photo are grey.
    """
    centre = project(pose, np.array([_BLADE_MIDDLE]))[0]
    along = pose[:2, 0]
    scale = side / (_BLADE_SIDE * math.hypot(*along))
    cos, sin = along / math.hypot(*along) * scale
    rotation = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]])
    rotation[:2, 2] = (side - 1) / 2 - rotation[:2, :2] @ centre
    return cut_square(pixels, rotation, side)


def box(pixels: Array, pose: Array) -> Image.Image:
    """Return the bounding box of the whole key."""
    corners = project(pose, _WHOLE_KEY)
    height, width = pixels.shape[:2]
    left, top = (max(0, math.floor(value)) for value in corners.min(0))
    right, bottom = (
        min(width, math.ceil(corners[:, 0].max())),
        min(height, math.ceil(corners[:, 1].max())),
    )
    return Image.fromarray(
        pixels[
            min(top, height - 1) : max(bottom, top + 1), min(left, width - 1) : max(right, left + 1)
        ]
    )
