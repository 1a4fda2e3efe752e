"""The camera: a pose over the key's plane, and the key laid into the picture with its thickness.

Pixels follow OpenCV: (0, 0) is the centre of the first pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from keylike.readers.caliper.frames import project
from tools.training.draw import Array, chance, soft_blur, span
from tools.training.shapes import KeyShape

STACK_STEP_PX = 1.5  # a side wall is drawn as slices that lie no further apart than this
STACK_MOST = 9


@dataclass(frozen=True, slots=True)
class Pose:
    """A pinhole camera over the key. `to_pixels(z)` maps (u, v, 1) mm at height z (0: the face, negative: below) to pixels.

    `view` is the unit vector from key to camera (u, v, out of the face); `px_per_mm` the scale at the aimed point.
    """

    rotation: Array
    mirror: float
    aim: tuple[float, float]
    camera: Array
    distance: float
    px_per_mm: float
    tilt_deg: float

    def to_pixels(self, z: float = 0.0) -> Array:
        """Homography (3, 3) of the plane at height z mm."""
        r, m = self.rotation, self.mirror
        shift = r @ np.array([-self.aim[0], -m * self.aim[1], -z]) + [0, 0, self.distance]
        return self.camera @ np.stack([r[:, 0], m * r[:, 1], shift], 1)

    @property
    def view(self) -> Array:
        """Unit vector towards the camera in the key's frame."""
        back = self.rotation.T @ np.array([0, 0, -1.0])
        return np.array([back[0], self.mirror * back[1], -back[2]])

    def moved(self, dx: float, dy: float) -> Pose:
        """The same pose with the picture shifted by (dx, dy) pixels."""
        shift = np.array([[1, 0, dx], [0, 1, dy], [0, 0, 1.0]])
        return Pose(
            self.rotation,
            self.mirror,
            self.aim,
            shift @ self.camera,
            self.distance,
            self.px_per_mm,
            self.tilt_deg,
        )


def pose(
    rng: np.random.Generator,
    px_per_mm: float,
    focal: float,
    tilt_deg: float,
    aim: tuple[float, float],
) -> Pose:
    """A camera `focal` pixels long, any turn in the plane, either face, tilted by `tilt_deg` about a random axis; `aim` at pixel (0, 0)."""
    axis, turn = span(rng, 0, 2 * math.pi), span(rng, 0, 2 * math.pi)
    tilt = cv2.Rodrigues(np.array([math.cos(axis), math.sin(axis), 0]) * math.radians(tilt_deg))[0]
    rotation = cv2.Rodrigues(np.array([0, 0, turn]))[0] @ tilt
    camera = np.array([[focal, 0, 0], [0, focal, 0], [0, 0, 1.0]])
    mirror = -1.0 if chance(rng, 0.5) else 1.0
    return Pose(rotation, mirror, aim, camera, focal / px_per_mm, px_per_mm, tilt_deg)


def plane_to_mm(shape: KeyShape) -> Array:
    """From pixels of the drawn plane to mm."""
    return np.array(
        [
            [1 / shape.px_per_mm, 0, shape.origin[0]],
            [0, 1 / shape.px_per_mm, shape.origin[1]],
            [0, 0, 1.0],
        ]
    )


def lay(
    picture: Array, shape: KeyShape, face: Array, wall: Array, at: Pose, thickness: float
) -> None:
    """Draws the key over the picture, in place: side wall as a stack of slices, then the face."""
    plane = plane_to_mm(shape)
    shift_px = thickness * math.sin(math.radians(at.tilt_deg)) * at.px_per_mm
    slices = int(np.clip(math.ceil(shift_px / STACK_STEP_PX), 1, STACK_MOST))
    below = np.dstack([wall, shape.mask])
    for i in range(slices):
        _blend(picture, below, at.to_pixels(-thickness * (1 - i / slices)) @ plane)
    _blend(picture, np.dstack([face, shape.mask]), at.to_pixels(0.0) @ plane)


def _blend(picture: Array, layer: Array, homography: Array) -> None:
    height, width = picture.shape[:2]
    rows, columns = layer.shape[:2]
    corners = project(homography, np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]]))
    x0, y0 = np.clip(np.floor(corners.min(0)).astype(int), 0, [width, height])
    x1, y1 = np.clip(np.ceil(corners.max(0)).astype(int) + 1, 0, [width, height])
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    shift = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1.0]])
    warped = cv2.warpPerspective(
        layer, shift @ homography, (int(x1 - x0), int(y1 - y0)), flags=cv2.INTER_LINEAR
    )
    part = picture[y0:y1, x0:x1]
    part += warped[..., 3:] * (warped[..., :3] - part)


def cast_shadow(
    rng: np.random.Generator, picture: Array, shape: KeyShape, at: Pose, thickness: float
) -> None:
    """Darkens the ground under and beside the key, in place, before the key is laid on it."""
    height, width = picture.shape[:2]
    gap = span(rng, 0, 1.5) if chance(rng, 0.8) else span(rng, 2, 15)
    under = cv2.warpPerspective(
        shape.mask, at.to_pixels(-thickness - gap) @ plane_to_mm(shape), (width, height)
    )
    dx, dy = rng.normal(0, 0.9 + gap * 0.4, 2) * at.px_per_mm
    moved = cv2.warpAffine(under, np.array([[1, 0, dx], [0, 1, dy]], np.float32), (width, height))
    far = soft_blur(moved, max(0.4, span(rng, 0.1, 1.5 + gap * 0.4) * at.px_per_mm))
    near = soft_blur(under, max(0.4, span(rng, 0.2, 0.8) * at.px_per_mm))
    picture *= ((1 - span(rng, 0, 0.75) * far) * (1 - span(rng, 0, 0.6) * near))[..., None]
