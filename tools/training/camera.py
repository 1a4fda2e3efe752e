"""The virtual camera: its pose above the key, and drawing the key with its thickness.

Pixel coordinates follow OpenCV: (0, 0) is the centre of the first pixel. Lengths of the key are in
mm: u along the blade from the shoulder to the tip, v across it, z out of the face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from keylike.readers.caliper.frames import project
from tools.training.draw import Array, chance, soft_blur, span
from tools.training.shapes import KeyShape

# A side wall is drawn as slices of the outline at different heights: the distance between two
# slices in pixels, and the largest number of slices, which may increase that distance.
STACK_STEP_PX = 1.5
STACK_MOST = 9


@dataclass(frozen=True, slots=True)
class Pose:
    """A pinhole camera over the key.

    Attributes:
        rotation: Rotation from the key's frame to the camera's, (3, 3).
        mirror: 1, or -1 if the key shows its other face.
        aim: The aimed point: the point (u, v) of the key in mm that the scale refers to.
        camera: Camera matrix, (3, 3).
        distance: Distance in mm from the camera to the aimed point along the optical axis.
        px_per_mm: Pixels per mm at the aimed point.
        tilt_deg: Angle in degrees between the key's plane and the picture's plane.
        off_axis: Distance (x, y) of the aimed point from the optical axis, in focal lengths. A key
            near the edge of a picture shows its side wall even without tilt.
    """

    rotation: Array
    mirror: float
    aim: tuple[float, float]
    camera: Array
    distance: float
    px_per_mm: float
    tilt_deg: float
    off_axis: tuple[float, float] = (0.0, 0.0)

    def to_pixels(self, z: float = 0.0) -> Array:
        """Return the homography (3, 3) from (u, v) in the plane at height z mm to pixels.

        The face of the key is at height 0.
        """
        r, m = self.rotation, self.mirror
        shift = r @ np.array([-self.aim[0], -m * self.aim[1], -z]) + self._centre
        return self.camera @ np.stack([r[:, 0], m * r[:, 1], shift], 1)

    @property
    def view(self) -> Array:
        """Return the unit vector towards the camera in the key's frame (u, v, out of the face)."""
        back = self.rotation.T @ (-self._centre / np.linalg.norm(self._centre))
        return np.array([back[0], self.mirror * back[1], -back[2]])

    @property
    def _centre(self) -> Array:
        return np.array([*self.off_axis, 1.0]) * self.distance

    def moved(self, dx: float, dy: float) -> Pose:
        """Return the same pose with the picture shifted by (dx, dy) pixels."""
        shift = np.array([[1, 0, dx], [0, 1, dy], [0, 0, 1.0]])
        return replace(self, camera=shift @ self.camera)

    @property
    def slant(self) -> float:
        """Return the sine of the angle between the line of sight and the key's normal.

        The visible height of the side wall is this sine times the thickness.
        """
        return float(np.hypot(*self.view[:2]))


def pose(
    rng: np.random.Generator, px_per_mm: float, focal: float, tilt_deg: float, aim: tuple[float, float],
    off_axis: tuple[float, float] = (0.0, 0.0),
) -> Pose:  # fmt: skip
    """Return a pose with a random rotation and face, tilted about a random axis.

    Args:
        rng: Random source.
        px_per_mm: Pixels per mm at the aimed point.
        focal: Focal length in pixels.
        tilt_deg: Tilt in degrees.
        aim: The aimed point (u, v) in mm, which is drawn at pixel (0, 0).
        off_axis: See `Pose`.
    """
    axis, turn = span(rng, 0, 2 * math.pi), span(rng, 0, 2 * math.pi)
    tilt = cv2.Rodrigues(np.array([math.cos(axis), math.sin(axis), 0]) * math.radians(tilt_deg))[0]
    rotation = cv2.Rodrigues(np.array([0, 0, turn]))[0] @ tilt
    camera = np.array(
        [[focal, 0, -focal * off_axis[0]], [0, focal, -focal * off_axis[1]], [0, 0, 1.0]]
    )
    mirror = -1.0 if chance(rng, 0.5) else 1.0
    return Pose(rotation, mirror, aim, camera, focal / px_per_mm, px_per_mm, tilt_deg, off_axis)


def plane_to_mm(shape: KeyShape) -> Array:
    """Return the homography from pixels of the drawn outline to mm of the key."""
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
    """Draw the key on the picture, in place: the side wall as a stack of slices, then the face.

    Args:
        picture: Picture to draw on.
        shape: Outline of the key.
        face: Colours of the face.
        wall: Colours of the side wall.
        at: Pose of the camera.
        thickness: Thickness of the key in mm.
    """
    plane = plane_to_mm(shape)
    shift_px = thickness * at.slant * at.px_per_mm
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
    """Darken the background below and around the key, in place. Call it before `lay`."""
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
