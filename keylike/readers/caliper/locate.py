"""From the whole photo to a straightened blade: find, align, then measure until it settles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from keylike.readers.caliper.frames import (
    ALIGN,
    FINDER_SIDE,
    MIDLINE,
    READ,
    SLOT,
    TURN_OVER,
    TURN_ROUND,
    Array,
    Strip,
    cut_square,
    fit_similarity,
    project,
    straighten,
)
from keylike.readers.caliper.networks import Measured, Networks

ALIGN_PASSES = 2
MEASURE_PASSES = 4
SETTLED_MM = 0.03
# Poses with a lower fit at first, or after a correction, never settled on held-back drawings
# (docs/LOG.md).
_LOST_AT_FIRST, _LOST_LATER = -4.0, 0.0
KEY_LENGTH_MM = 58.0  # bow to tip of a common house key, which the second look frames
_KEY_MIDDLE = np.array([-4.0, 4.3])
SECOND_LOOK_SHARE = 0.8
_QUARTER = np.array(
    [[0.0, -1, FINDER_SIDE - 1], [1, 0, 0], [0, 0, 1]]
)  # the finder's square turned by 90 degrees
SHORTEST_BLADE_MM = 18.0  # blades with less of their length in the picture are not searched further
# Six cuts mistaken for five, or the reverse: the tip is at 30.7 mm on SC4 and at 26.8 mm on SC1.
LONGER, SHORTER = np.diag([26.75 / 30.72, 1.0, 1.0]), np.diag([30.72 / 26.75, 1.0, 1.0])


def _lifted(uncut_mm: float, cut_mm: float) -> Array:
    """Return the homography that moves the slot's two tip corners up by these mm."""
    moved = SLOT + np.array([[0, 0], [0, uncut_mm], [0, cut_mm], [0, 0]])
    return np.asarray(
        cv2.getPerspectiveTransform(SLOT.astype(np.float32), moved.astype(np.float32)), float
    )


# Errors of a settled pose that the strip does not show: turned, or narrower or wider towards the
# tip.
NEARBY = (_lifted(0.4, 0.4), _lifted(-0.4, -0.4), _lifted(0, 0.5), _lifted(0, -0.5))


def _scaled(times: float) -> Array:
    """Return the scaling of the key's plane about the middle of the blade."""
    u, v = MIDLINE[len(MIDLINE) // 2] * (1 - times)
    return np.array([[times, 0, u], [0, times, v], [0, 0, 1.0]])


# The finder misjudges the size if the picture shows little but the blade.
SCALED = (_scaled(2.0), _scaled(1.4), _scaled(0.7))


@dataclass(frozen=True, slots=True)
class Rough:
    """The finder's answer.

    Attributes:
        pose: From (u, v, 1) mm to photo pixels, without tilt.
        presence: Logit that there is a key.
        several: Logit that there are further whole keys.
    """

    pose: Array
    presence: float
    several: float = -math.inf


@dataclass(frozen=True, slots=True)
class PoseFit:
    """One pose of the blade and what was measured under it.

    Attributes:
        pose: From (u, v, 1) mm to photo pixels.
        strip: The straightened picture that was measured.
        measured: The measurer's answer.
        rough: The finder's answer that the search started from.
    """

    pose: Array
    strip: Array
    measured: Measured
    rough: Rough


def find(networks: Networks, picture: Array, least_presence: float) -> Rough | None:
    """Return roughly where a blade is on an RGB photo (height, width, 3), or None without one."""
    rough = look(networks, picture)
    return None if rough is None or rough.presence < least_presence else rough


def initial_poses(networks: Networks, picture: Array, rough: Rough) -> list[PoseFit]:
    """Return the blade as the aligner sees it; empty if that pose does not settle."""
    return _settle_all(networks, picture, rough, [align(networks, picture, rough.pose)])


def alternative_poses(
    networks: Networks, picture: Array, rough: Rough, initial: Sequence[PoseFit]
) -> Iterator[list[PoseFit]]:
    """Yield other poses in two groups.

    The first group is near the initial pose: a little turned or tilted, longer, shorter. The second
    flips and reverses the blade, changes the finder's size, and turns the photo by quarters.
    """
    nearby = [one.pose @ change for one in initial for change in (*NEARBY, LONGER, SHORTER)]
    yield _settle_all(networks, picture, rough, nearby)
    poses: list[Array | None] = [one.pose @ TURN_OVER for one in initial]
    turned = align(networks, picture, rough.pose @ TURN_ROUND @ TURN_OVER)
    if turned is not None:
        poses += [turned, turned @ TURN_OVER]
    looks = (look(networks, picture, quarters) for quarters in (1, 2, 3))
    starts = [rough.pose @ scaled for scaled in SCALED]
    starts += [found.pose for found in looks if found is not None]
    poses += [align(networks, picture, start) for start in starts]
    yield _settle_all(networks, picture, rough, poses)


def _settle_all(
    networks: Networks, picture: Array, rough: Rough, poses: Sequence[Array | None]
) -> list[PoseFit]:
    """Return the fits of all poses that settle."""
    settled = (settle(networks, picture, rough, pose) for pose in poses if pose is not None)
    return [fit for fit in settled if fit is not None]


def look(networks: Networks, picture: Array, quarters: int = 0) -> Rough | None:
    """Run the finder on the whole photo, then on the key's surroundings.

    `quarters` turns the photo first. Returns None if the points make no pose of a blade.
    """
    height, width = picture.shape[:2]
    turned = np.linalg.matrix_power(_QUARTER, quarters)
    to_square = turned @ _letterbox(width, height)
    presence, several = -math.inf, None
    for _ in range(2):
        found = networks.find(cut_square(picture, to_square, FINDER_SIDE))
        points = project(np.linalg.inv(to_square), found.points)
        presence = max(presence, found.presence)
        several = (
            found.several if several is None else several
        )  # only the first look sees the whole photo
        pose = fit_similarity(points[: len(MIDLINE)], 1 / (found.variance[: len(MIDLINE)] + 2.0))
        scale = math.hypot(pose[0, 0], pose[1, 0])
        if not np.isfinite(scale) or not 0.2 < scale < max(width, height) / SHORTEST_BLADE_MM:
            return None
        to_square = turned @ _second_look(pose, scale, max(width, height))
    return Rough(pose, presence, several if several is not None else -math.inf)


def _letterbox(width: int, height: int) -> Array:
    """Return the map from photo pixels to the finder's square with the whole photo inside."""
    scale = FINDER_SIDE / max(width, height)
    shift = [(FINDER_SIDE - side * scale) / 2 + scale / 2 - 0.5 for side in (width, height)]
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1.0]])


def _second_look(pose: Array, px_per_mm: float, longest: int) -> Array:
    """Return the map from photo pixels to a square around the key that was found."""
    side = float(np.clip(KEY_LENGTH_MM * px_per_mm / SECOND_LOOK_SHARE, 60, 2 * longest))
    scale = FINDER_SIDE / side
    middle = project(pose, _KEY_MIDDLE)[0]
    return np.array(
        [
            [scale, 0, FINDER_SIDE / 2 - scale * middle[0]],
            [0, scale, FINDER_SIDE / 2 - scale * middle[1]],
            [0, 0, 1.0],
        ]
    )


def align(networks: Networks, picture: Array, pose: Array) -> Array | None:
    """Correct a rough pose with the aligner. Return None if it is no pose of a blade."""
    for _ in range(ALIGN_PASSES):
        answer = networks.align(straighten(picture, pose, ALIGN))
        moved = _moved(pose, ALIGN, answer.corners_mm, picture)
        if moved is None:
            return None
        pose = moved @ TURN_OVER if answer.side > 0 else moved
    return pose


def settle(networks: Networks, picture: Array, rough: Rough, pose: Array) -> PoseFit | None:
    """Measure and correct the pose until it stops moving; None if the strip shows no blade."""
    for turn in range(1, MEASURE_PASSES + 1):
        strip = straighten(picture, pose, READ)
        measured = networks.measure(strip, pose)
        if measured.fit < (_LOST_AT_FIRST if turn == 1 else _LOST_LATER):
            return None
        if turn == MEASURE_PASSES or float(np.abs(measured.corners_mm).mean()) < SETTLED_MM:
            return PoseFit(pose, strip, measured, rough)
        moved = _moved(pose, READ, measured.corners_mm, picture)
        if moved is None:
            return None
        pose = moved
    return None


def _moved(pose: Array, strip: Strip, corners_mm: Array, picture: Array) -> Array | None:
    """Return the pose whose slot has the corners that the network saw; None if they are no blade's."""
    seen = project(strip.matrix, SLOT) + corners_mm * strip.px_per_mm
    corners = project(pose @ np.linalg.inv(strip.matrix), seen)
    if not np.isfinite(corners).all() or not cv2.isContourConvex(corners.astype(np.float32)):
        return None
    longest = max(picture.shape[:2])
    area = float(cv2.contourArea(corners.astype(np.float32)))
    if corners.min() < -longest / 2 or corners.max() > 1.5 * longest or area < 100:
        return None
    return np.asarray(
        cv2.getPerspectiveTransform(SLOT.astype(np.float32), corners.astype(np.float32)), float
    )
