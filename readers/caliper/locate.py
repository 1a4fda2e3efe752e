"""From the whole photo to a straightened blade: find, turn, align, then measure again and again until the strip lies right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from readers.caliper.frames import (
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
from readers.caliper.networks import CUTS_OF, KINDS, Measured, Networks

ALIGN_PASSES = 2
MEASURE_PASSES = 4
SETTLED_MM = 0.03
_KEY_LENGTH_MM = 58.0  # bow to tip of a common house key: the second look frames this much
_KEY_MIDDLE = np.array([-4.0, 4.3])
_SECOND_LOOK_SHARE = 0.8
_SETTLED_FIT = 2.0
SHORTEST_BLADE_MM = 18.0  # no blade of which less than this is in the picture is looked at closer
DOUBTFUL = 0.3
# A blade with six cuts taken for one with five, or the other way round: the tip lies at 30.7 mm in place of 26.8 (SC4, SC1).
LONGER, SHORTER = np.diag([26.75 / 30.72, 1.0, 1.0]), np.diag([30.72 / 26.75, 1.0, 1.0])


Settled = tuple[Array, Measured, Array]  # pose, what was measured, the strip it was measured on


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where the blade lies and what was measured there.

    `pose` maps (u, v, 1) mm to photo pixels; `strip` is the straightened picture that `measured` was read from;
    `presence` the finder's logit that there is a key at all.
    """

    pose: Array
    strip: Array
    measured: Measured
    presence: float


def locate(networks: Networks, picture: Array, least_presence: float) -> Sighting | None:
    """The best sighting of a blade on an RGB photo (height, width, 3); None where the finder sees no key or no pose makes sense."""
    looked = look(networks, picture)
    if looked is None or looked[1] < least_presence:
        return None
    pose, presence = looked
    settled = _settle_all(networks, picture, [_align(networks, picture, pose)])
    if not settled or doubt(settled[0][1]) > DOUBTFUL:
        settled += _second_thoughts(networks, picture, pose, settled)
    if not settled:
        return None
    final, measured, strip = min(settled, key=lambda one: doubt(one[1]))
    return Sighting(final, strip, measured, presence)


def doubt(measured: Measured) -> float:
    """How unsure a measurement is: the mean log spread of the likeliest keyway's cuts, and more where the strip does not lie right."""
    cuts = CUTS_OF[max(CUTS_OF, key=lambda name: measured.kinds[KINDS.index(name)])]
    return float(measured.log_spread[cuts].mean()) + max(0.0, _SETTLED_FIT - measured.fit)


def _second_thoughts(networks: Networks, picture: Array, rough: Array, settled: list[Settled]) -> list[Settled]:
    """Other ways the blade might lie: longer or shorter than it was taken for, turned over, turned round, both."""
    ways = [settled[0][0] @ way for way in (LONGER, SHORTER, TURN_OVER)] if settled else []
    turned = _align(networks, picture, rough @ TURN_ROUND @ TURN_OVER)
    if turned is not None:
        ways += [turned, turned @ TURN_OVER]
    return _settle_all(networks, picture, ways)


def _settle_all(networks: Networks, picture: Array, ways: Sequence[Array | None]) -> list[Settled]:
    """What comes of each pose that leads anywhere."""
    tried = (_settle(networks, picture, way) for way in ways if way is not None)
    return [one for one in tried if one is not None]


def look(networks: Networks, picture: Array) -> tuple[Array, float] | None:
    """A pose without tilt from two looks: the whole photo, then the key's own surroundings."""
    height, width = picture.shape[:2]
    to_square = _letterbox(width, height)
    presence = -math.inf
    for _ in range(2):
        found = networks.find(cut_square(picture, to_square, FINDER_SIDE))
        points = project(np.linalg.inv(to_square), found.points)
        presence = max(presence, found.presence)
        pose = fit_similarity(points[: len(MIDLINE)], 1 / (found.variance[: len(MIDLINE)] + 2.0))
        scale = math.hypot(pose[0, 0], pose[1, 0])
        if not np.isfinite(scale) or not 0.2 < scale < max(width, height) / SHORTEST_BLADE_MM:
            return None
        to_square = _second_look(pose, scale, max(width, height))
    return pose, presence


def _letterbox(width: int, height: int) -> Array:
    """From photo pixels to the finder's square, the whole photo inside."""
    scale = FINDER_SIDE / max(width, height)
    shift = [(FINDER_SIDE - side * scale) / 2 + scale / 2 - 0.5 for side in (width, height)]
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1.0]])


def _second_look(pose: Array, px_per_mm: float, longest: int) -> Array:
    """From photo pixels to a square round the key that was found."""
    side = float(np.clip(_KEY_LENGTH_MM * px_per_mm / _SECOND_LOOK_SHARE, 60, 2 * longest))
    scale = FINDER_SIDE / side
    middle = project(pose, _KEY_MIDDLE)[0]
    return np.array([[scale, 0, FINDER_SIDE / 2 - scale * middle[0]], [0, scale, FINDER_SIDE / 2 - scale * middle[1]], [0, 0, 1.0]])


def _align(networks: Networks, picture: Array, pose: Array) -> Array | None:
    for _ in range(ALIGN_PASSES):
        answer = networks.align(straighten(picture, pose, ALIGN))
        moved = _moved(pose, ALIGN, answer.corners_mm, picture)
        if moved is None:
            return None
        pose = moved @ TURN_OVER if answer.side > 0 else moved
    return pose


def _settle(networks: Networks, picture: Array, pose: Array) -> Settled | None:
    """Measures, lays the strip in better by what was measured, and measures again until it no longer moves."""
    for turn in range(1, MEASURE_PASSES + 1):
        strip = straighten(picture, pose, READ)
        measured = networks.measure(strip)
        if turn == MEASURE_PASSES or float(np.abs(measured.corners_mm).mean()) < SETTLED_MM:
            return pose, measured, strip
        moved = _moved(pose, READ, measured.corners_mm, picture)
        if moved is None:
            return None
        pose = moved
    return None


def _moved(pose: Array, strip: Strip, corners_mm: Array, picture: Array) -> Array | None:
    """The pose whose slot lies where the network saw it; None where that is no picture of a blade any more."""
    seen = project(strip.matrix, SLOT) + corners_mm * strip.px_per_mm
    corners = project(pose @ np.linalg.inv(strip.matrix), seen)
    if not np.isfinite(corners).all() or not cv2.isContourConvex(corners.astype(np.float32)):
        return None
    longest = max(picture.shape[:2])
    area = float(cv2.contourArea(corners.astype(np.float32)))
    if corners.min() < -longest / 2 or corners.max() > 1.5 * longest or area < 100:
        return None
    return np.asarray(cv2.getPerspectiveTransform(SLOT.astype(np.float32), corners.astype(np.float32)), float)
