"""The networks' inputs: squares cut from the photo, and strips of the straightened blade.

The key's plane has u, mm from the shoulder stop (0) to the tip, and v, mm from the uncut edge (0)
up to the cuts. A pose is the homography from (u, v, 1) to photo pixels. Pixels follow OpenCV:
(0, 0) is the centre of the first pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

FINDER_SIDE = 160
MIDLINE_V = 4.3
MIDLINE = np.array([[u, MIDLINE_V] for u in (0.0, 4.5, 9.0, 13.0, 18.0, 22.0, 26.0)])
# Corners of the slot that every blade is aligned to, near the size of SC1 and KW1 blades.
SLOT = np.array([[0.0, 0.0], [27.0, 0.0], [27.0, 8.6], [0.0, 8.6]])
TURN_OVER = np.array(
    [[1.0, 0, 0], [0, -1, 8.6], [0, 0, 1]]
)  # swaps the cut and the uncut side of the slot
TURN_ROUND = np.array([[-1.0, 0, 27.0], [0, 1, 0], [0, 0, 1]])  # swaps bow and tip of the slot
MEAN, SPREAD = 120.0, 60.0
_NORMAL = (np.arange(256, dtype=np.float32) - np.float32(MEAN)) / np.float32(SPREAD)
PADDING = 120  # grey level outside the photo
_ANTIALIAS_FROM = 1.35
_ANTIALIAS_SIGMA = 0.42
_MARGIN, _LEAST_PART = 4, 8  # pixels


@dataclass(frozen=True, slots=True)
class Strip:
    """A straightened picture of the blade.

    Attributes:
        width: Width in pixels.
        height: Height in pixels.
        px_per_mm: Scale.
        u0: Lower left corner along the blade, mm.
        v0: Lower left corner across the blade, mm.
    """

    width: int
    height: int
    px_per_mm: float
    u0: float
    v0: float

    @property
    def matrix(self) -> Array:
        """Return the map from mm to strip pixels; v points up."""
        p = self.px_per_mm
        return np.array([[p, 0, -self.u0 * p], [0, -p, self.height + self.v0 * p], [0, 0, 1.0]])


ALIGN = Strip(320, 144, 8.0, -7.0, -4.7)
READ = Strip(384, 144, 12.0, -2.0, -1.6)


def project(homography: Array, points: Array) -> Array:
    """Map points (n, 2) through a homography (3, 3).

    NumPy does it because OpenCV releases the interpreter lock on each of these tiny calls.
    """
    moved: Array = np.asarray(points, float).reshape(-1, 2) @ homography[:, :2].T + homography[:, 2]
    return moved[:, :2] / moved[:, 2:]


def local_scale(pose: Array) -> float:
    """Return photo pixels per mm at the middle of the blade, the geometric mean of both axes."""
    middle, along, up = project(pose, np.array([[13.0, 4.3], [14.0, 4.3], [13.0, 5.3]]))
    return float(np.sqrt(abs(np.linalg.det(np.stack([along - middle, up - middle])))))


def tilt_deg(pose: Array) -> float:
    """Return an estimate of the tilt in degrees.

    It is the angle that would shorten one direction of the blade against the other as much as this
    pose does.
    """
    _, (long, short), _ = np.linalg.svd(_axes(pose))
    return math.degrees(math.acos(min(1.0, float(short / max(long, 1e-9)))))


def perspective(pose: Array) -> float:
    """Return by which share the scale changes per mm along the shortened direction.

    A camera at a distance of Z mm makes this sin(tilt) / Z. A pose without tilt that was squeezed
    until a foreign blade fits is shortened just as much, but its scale does not change.
    """
    _, _, directions = np.linalg.svd(_axes(pose))
    depth = float(pose[2] @ np.array([13.0, 4.3, 1.0]))
    rate = pose[2, :2] / (depth if abs(depth) > 1e-9 else 1e-9)
    return float(abs(directions[1] @ rate))


def _axes(pose: Array) -> Array:
    """Return the pixels that one mm along and across covers at the middle of the blade, (2, 2)."""
    middle, along, up = project(pose, np.array([[13.0, 4.3], [13.5, 4.3], [13.0, 4.8]]))
    return np.stack([along - middle, up - middle], 1) / 0.5


def pose_features(pose: Array) -> Array:
    """Return what a pose says about the camera, five numbers near the range -1 to 1.

    They are the ratio of length to height, the shear, the change of scale along and across, and the
    scale. A pose that was squeezed until a foreign blade fits has such numbers too. Only the
    picture (side wall, shading) shows which of the two it is.
    """
    middle, along, up = project(pose, np.array([[13.0, 4.3], [13.1, 4.3], [13.0, 4.4]]))
    long, tall = (along - middle) / 0.1, (up - middle) / 0.1
    ll, tt, lt = float(long @ long), float(tall @ tall), float(long @ tall)
    scale = math.sqrt(max(abs(float(long[0] * tall[1] - long[1] * tall[0])), 1e-9))
    depth = float(pose[2] @ np.array([13.0, 4.3, 1.0]))
    shear = lt / math.sqrt(max(ll * tt, 1e-12))
    rates = pose[2, :2] / (depth if abs(depth) > 1e-9 else 1e-9)
    figures = [
        4 * math.log(max(ll, 1e-9) / max(tt, 1e-9)),
        8 * shear,
        150 * rates[0],
        150 * rates[1],
        math.log(scale / 12),
    ]
    return np.clip(np.array(figures, np.float32), -4, 4)


def straighten(picture: Array, pose: Array, strip: Strip) -> Array:
    """Return the strip of a photo (height, width, 3 uint8) under a pose.

    Photos finer than the strip are smoothed first. The photo's edges are repeated outside.
    """
    to_strip = strip.matrix @ np.linalg.inv(pose)
    ratio = local_scale(pose) / strip.px_per_mm
    if ratio > _ANTIALIAS_FROM:
        part, shift = _around(
            picture, project(np.linalg.inv(to_strip), _corners(strip.width, strip.height))
        )
        picture, back, times = _halved(part, ratio)
        picture = cv2.GaussianBlur(
            picture,
            (0, 0),
            math.sqrt((_ANTIALIAS_SIGMA * ratio) ** 2 - (times**2 - 1) / 12) / times,
        )
        to_strip = to_strip @ shift @ back
    return cv2.warpPerspective(
        picture,
        to_strip,
        (strip.width, strip.height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def cut_square(picture: Array, to_square: Array, side: int) -> Array:
    """Return a square (side, side, 3 uint8) of the photo under a similarity (3, 3).

    Photos finer than the square are shrunk by area first.
    """
    scale = math.hypot(to_square[0, 0], to_square[1, 0])
    if scale <= 0.5:
        part, shift = _around(picture, project(np.linalg.inv(to_square), _corners(side, side)))
        picture, back = _shrunk(part, int(1 / scale))
        to_square = to_square @ shift @ back
        scale *= back[0, 0]
    if scale < 0.8:
        picture = cv2.GaussianBlur(picture, (0, 0), 0.28 / scale)
    size, outside = (side, side), (PADDING,) * 3
    return cv2.warpAffine(
        picture,
        to_square[:2],
        size,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=outside,
    )


def _corners(width: int, height: int) -> Array:
    return np.array([[0, 0], [width, 0], [width, height], [0, height]])


def _around(picture: Array, corners: Array) -> tuple[Array, Array]:
    """Return the part of the photo around `corners`, and the matrix (3, 3) from it to the photo."""
    size = np.array([picture.shape[1], picture.shape[0]])
    low = np.clip(np.floor(corners.min(0)) - _MARGIN, 0, size - _LEAST_PART).astype(int)
    high = np.clip(np.ceil(corners.max(0)) + _MARGIN, low + _LEAST_PART, size).astype(int)
    return picture[low[1] : high[1], low[0] : high[0]], np.array(
        [[1, 0, low[0]], [0, 1, low[1]], [0, 0, 1.0]]
    )


def _halved(picture: Array, most: float) -> tuple[Array, Array, int]:
    """Return the picture halved repeatedly, at most `most` times smaller, which is the fastest way.

    Also returns the map back and the factor.
    """
    times = 1
    while 2 * times <= most and min(picture.shape[:2]) >= 2 * _LEAST_PART:
        height, width = picture.shape[0] // 2, picture.shape[1] // 2
        picture = cv2.resize(
            picture[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA
        )
        times *= 2
    return picture, _back(times, times), times


def _shrunk(picture: Array, times: int) -> tuple[Array, Array]:
    """Return the picture about `times` smaller by area, and the map back."""
    picture, back, halved = _halved(picture, times / 2)
    height, width = picture.shape[:2]
    small = cv2.resize(
        picture,
        (max(1, width * halved // times), max(1, height * halved // times)),
        interpolation=cv2.INTER_AREA,
    )
    return small, back @ _back(width / small.shape[1], height / small.shape[0])


def _back(across: float, down: float) -> Array:
    """Return the map from pixels of a picture shrunk by these factors to its own pixels."""
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1.0]])


def fit_similarity(points: Array, weights: Array) -> Array:
    """Return the pose without tilt whose midline is closest to `points` (7, 2) in photo pixels.

    `weights` (7,) are the trust in each point.
    """
    root = np.sqrt(weights)[:, None]
    design = np.stack([np.ones(len(MIDLINE)), MIDLINE[:, 0]], 1)
    start, along = np.linalg.lstsq(design * root, points * root, rcond=None)[0]
    up = np.array([along[1], -along[0]])
    origin = start - MIDLINE_V * up
    return np.array([[along[0], up[0], origin[0]], [along[1], up[1], origin[1]], [0, 0, 1.0]])


def to_input(pictures: list[Array]) -> Array:
    """Return the network input (n, 3, height, width) float32 of RGB pictures of one size.

    Integers go through a lookup table, which is four times as fast and gives the same numbers.
    """
    if pictures[0].dtype != np.uint8:
        return (
            np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2), np.float32)
            - np.float32(MEAN)
        ) / np.float32(SPREAD)
    height, width = pictures[0].shape[:2]
    planes = np.empty((len(pictures), 3, height, width), np.uint8)
    for picture, apart in zip(pictures, planes, strict=True):
        cv2.split(picture, [*apart])
    made: Array = cv2.LUT(planes.reshape(-1, width), _NORMAL).reshape(planes.shape)
    return made
