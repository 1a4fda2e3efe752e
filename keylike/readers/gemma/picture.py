"""How a photo becomes the square that Gemma sees: the key cut out at the photo's own scale, padded or squashed, and enhanced."""

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

# Millimetres of the key's plane (readers/caliper/frames.py). The blade with the shoulder and the bow's edge: at 768 pixels this is
# 16 a millimetre, 6 for one Schlage depth step.
_BLADE_MIDDLE, _BLADE_SIDE = (10.0, 4.3), 48.0
_WHOLE_KEY = np.array([[-34.0, -10.0], [34.0, -10.0], [34.0, 19.0], [-34.0, 19.0]])


class KeyFinder(Protocol):
    """Finds the key on an RGB photo (height, width, 3)."""

    def spot(self, picture: Array) -> Array | None:
        """From mm of the key's plane to pixels (3, 3), without tilt; None where no key is seen."""


@dataclass(frozen=True, slots=True)
class Framed:
    """The square, and how many photo pixels one mm of the key has; None where no key was looked for or found."""

    square: Image.Image
    px_per_mm: float | None


@dataclass(frozen=True, slots=True)
class Framer:
    """Frames photos as the manifest says; without a `finder`, and where it sees no key, the whole photo is taken."""

    picture: Picture
    finder: KeyFinder | None

    def frame(self, pixels: Array, side: int) -> Framed:
        """The square of `side` pixels for an RGB photo (height, width, 3)."""
        pose = self.finder.spot(pixels) if self.finder else None
        if pose is not None and self.picture.crop == "level":
            cut = Image.fromarray(level(pixels, pose, side))
        elif pose is not None and self.picture.crop == "box":
            cut = self._fitted(box(pixels, pose), side)
        else:
            cut = self._fitted(Image.fromarray(pixels), side)
        return Framed(self._enhanced(cut), None if pose is None else math.hypot(*pose[:2, 0]))

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
    """The blade (side, side, 3) laid level, bow left and tip right; what lies outside the photo is grey."""
    middle = project(pose, np.array([_BLADE_MIDDLE]))[0]
    along = pose[:2, 0]
    scale = side / (_BLADE_SIDE * math.hypot(*along))
    cos, sin = along / math.hypot(*along) * scale
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]])
    turn[:2, 2] = (side - 1) / 2 - turn[:2, :2] @ middle
    return cut_square(pixels, turn, side)


def box(pixels: Array, pose: Array) -> Image.Image:
    """The upright part of the photo with the whole key in it."""
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
