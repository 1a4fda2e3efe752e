"""Tests of the square picture that Gemma gets: crop, fit and enhancement."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from keylike.readers.caliper.frames import project
from keylike.readers.gemma.manifest import Picture
from keylike.readers.gemma.picture import Framer

Array = NDArray[Any]
SIDE = 240


def key_at(angle_deg: float, px_per_mm: float = 12.0) -> Array:
    """Return the matrix from mm on the key to pixels of a photo of 1200 x 900 pixels.

    The key is rotated about the centre of the photo.
    """
    angle = math.radians(angle_deg)
    along = np.array([math.cos(angle), math.sin(angle)]) * px_per_mm
    pose = np.array([[along[0], along[1], 600], [along[1], -along[0], 450], [0, 0, 1.0]])
    pose[:2, 2] -= pose[:2, :2] @ np.array([0.0, 4.3])
    return pose


def photo(pose: Array) -> Array:
    """Return a grey photo with a red disc at the key's shoulder and a blue one at its tip."""
    picture = np.full((900, 1200, 3), 90, np.uint8)
    for position, colour in (((0.0, 4.3), (255, 0, 0)), ((24.0, 4.3), (0, 0, 255))):
        x, y = project(pose, np.array([position]))[0]
        cv2.circle(picture, (round(x), round(y)), 14, colour, -1)
    return picture


class FixedFinder:
    """Key finder that returns a fixed pose, or None as if there were no key."""

    def __init__(self, pose: Array | None) -> None:
        self._pose = pose

    def spot(self, picture: Array) -> Array | None:
        """Return the fixed pose."""
        return self._pose


def centre(square: Array, channel: int) -> tuple[float, float]:
    """Return the centre (x, y) of the area of one pure colour.

    It is given as fractions of the width and height of the picture.
    """
    others = [other for other in range(3) if other != channel]
    mask = (square[..., channel] > 180) & (square[..., others].max(-1) < 60)
    y, x = np.nonzero(mask)
    assert len(x)
    return float(x.mean()) / square.shape[1], float(y.mean()) / square.shape[0]


@pytest.mark.parametrize("angle", [0, 35, 90, 180, 250])
def test_level_crop_has_the_shoulder_on_the_left_and_the_tip_on_the_right(angle: float) -> None:
    pose = key_at(angle)
    framed = Framer(Picture(crop="level"), FixedFinder(pose)).frame(photo(pose), SIDE)
    square = np.asarray(framed.square)
    assert square.shape == (SIDE, SIDE, 3)
    # The square is 48 mm wide, and its centre is 10 mm from the shoulder of the key. So the disc at
    # the shoulder is 14 mm from the left, and the disc at the tip 38 mm.
    assert centre(square, 0) == pytest.approx((14 / 48, 0.5), abs=0.01)
    assert centre(square, 2) == pytest.approx((38 / 48, 0.5), abs=0.01)
    assert framed.px_per_mm == pytest.approx(12)


def test_box_crop_keeps_the_orientation_and_shape_of_the_key() -> None:
    pose = key_at(90, 6.0)
    square = np.asarray(
        Framer(Picture(crop="box"), FixedFinder(pose)).frame(photo(pose), SIDE).square
    )
    (red_x, red_y), (blue_x, blue_y) = centre(square, 0), centre(square, 2)
    assert abs(red_x - blue_x) < 0.02
    assert blue_y - red_y == pytest.approx(24 / 68, abs=0.02)


def test_padding_keeps_the_shape_of_the_photo_and_squashing_does_not() -> None:
    pose = key_at(0)
    padded = np.asarray(Framer(Picture(crop="none"), None).frame(photo(pose), SIDE).square)
    squashed = np.asarray(
        Framer(Picture(crop="none", fit="squash"), None).frame(photo(pose), SIDE).square
    )
    assert (padded[0] == 120).all() and (padded[-1] == 120).all()
    assert (squashed[0] == 90).all()


def test_photo_without_a_key_is_used_completely_and_has_no_scale() -> None:
    picture = photo(key_at(0))
    framed = Framer(Picture(crop="level"), FixedFinder(None)).frame(picture, SIDE)
    assert framed.px_per_mm is None
    assert (
        framed.square.tobytes()
        == Framer(Picture(crop="none"), None).frame(picture, SIDE).square.tobytes()
    )


def test_contrast_and_sharpness_change_the_square_as_configured() -> None:
    picture = photo(key_at(0))
    plain, contrasted, sharp = (
        np.asarray(
            Framer(Picture(crop="none", contrast=contrast, sharpness=sharpness), None)
            .frame(picture, SIDE)
            .square,
            int,
        )
        for contrast, sharpness in ((1.0, 1.0), (1.2, 1.0), (1.0, 1.1))
    )
    assert contrasted.std() > plain.std() * 1.1
    assert not np.array_equal(sharp, plain) and abs(sharp.mean() - plain.mean()) < 1
