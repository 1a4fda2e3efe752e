"""From the whole photo to a straightened blade: find, turn, align, then measure again and again until the strip lies right."""

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
# Strips that the measurer says lie so badly at first, or still after a move, never came to lie right (docs/LOG.md).
_LOST_AT_FIRST, _LOST_LATER = -4.0, 0.0
_KEY_LENGTH_MM = 58.0  # bow to tip of a common house key: the second look frames this much
_KEY_MIDDLE = np.array([-4.0, 4.3])
_SECOND_LOOK_SHARE = 0.8
_QUARTER = np.array(
    [[0.0, -1, FINDER_SIDE - 1], [1, 0, 0], [0, 0, 1]]
)  # the finder's square turned by 90 degrees
SHORTEST_BLADE_MM = 18.0  # no blade of which less than this is in the picture is looked at closer
# A blade with six cuts taken for one with five, or the other way round: the tip lies at 30.7 mm in place of 26.8 (SC4, SC1).
LONGER, SHORTER = np.diag([26.75 / 30.72, 1.0, 1.0]), np.diag([30.72 / 26.75, 1.0, 1.0])


def _lifted(uncut_mm: float, cut_mm: float) -> Array:
    """The slot with its tip's two corners moved up by these mm, as a homography mm to mm."""
    moved = SLOT + np.array([[0, 0], [0, uncut_mm], [0, cut_mm], [0, 0]])
    return np.asarray(
        cv2.getPerspectiveTransform(SLOT.astype(np.float32), moved.astype(np.float32)), float
    )


# Where a settled strip may lie wrong without showing it: turned, or narrower or wider towards the tip.
NEARBY = (_lifted(0.4, 0.4), _lifted(-0.4, -0.4), _lifted(0, 0.5), _lifted(0, -0.5))


def _scaled(times: float) -> Array:
    """The key's plane so many times larger about the middle of the blade."""
    u, v = MIDLINE[len(MIDLINE) // 2] * (1 - times)
    return np.array([[times, 0, u], [0, times, v], [0, 0, 1.0]])


SCALED = (
    _scaled(2.0),
    _scaled(1.4),
    _scaled(0.7),
)  # the finder is wrong about the size where little but the blade is in the picture


@dataclass(frozen=True, slots=True)
class Rough:
    """What the finder saw: a pose without tilt, from (u, v, 1) mm to photo pixels, and the logit that there is a key at all."""

    pose: Array
    presence: float


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


def find(networks: Networks, picture: Array, least_presence: float) -> Rough | None:
    """Where about a blade lies on an RGB photo (height, width, 3); None where the finder sees no key or no pose makes sense."""
    looked = look(networks, picture)
    return None if looked is None or looked[1] < least_presence else Rough(*looked)


def first_thought(networks: Networks, picture: Array, rough: Rough) -> list[Sighting]:
    """The blade as the aligner sees it, settled; empty where that leads nowhere."""
    return _settle_all(networks, picture, rough, [_align(networks, picture, rough.pose)])


def second_thoughts(
    networks: Networks, picture: Array, rough: Rough, first: Sequence[Sighting]
) -> Iterator[list[Sighting]]:
    """Other ways the blade might lie, in two goes: near where it was seen, a little turned or tilted, longer or shorter; then turned over,
    turned round, larger or smaller than the finder took it for, and wherever it sees it when the photo is turned."""
    yield _settle_all(
        networks,
        picture,
        rough,
        [one.pose @ way for one in first for way in (*NEARBY, LONGER, SHORTER)],
    )
    ways: list[Array | None] = [one.pose @ TURN_OVER for one in first]
    turned = _align(networks, picture, rough.pose @ TURN_ROUND @ TURN_OVER)
    if turned is not None:
        ways += [turned, turned @ TURN_OVER]
    looks = (look(networks, picture, quarters) for quarters in (1, 2, 3))
    roughs = [rough.pose @ scaled for scaled in SCALED] + [
        looked[0] for looked in looks if looked is not None
    ]
    ways += [_align(networks, picture, pose) for pose in roughs]
    yield _settle_all(networks, picture, rough, ways)


def _settle_all(
    networks: Networks, picture: Array, rough: Rough, ways: Sequence[Array | None]
) -> list[Sighting]:
    """What comes of each pose that leads anywhere."""
    tried = (_settle(networks, picture, rough, way) for way in ways if way is not None)
    return [one for one in tried if one is not None]


def look(networks: Networks, picture: Array, quarters: int = 0) -> tuple[Array, float] | None:
    """A pose without tilt from two looks: the whole photo, then the key's own surroundings; both turned by so many quarters."""
    height, width = picture.shape[:2]
    turned = np.linalg.matrix_power(_QUARTER, quarters)
    to_square = turned @ _letterbox(width, height)
    presence = -math.inf
    for _ in range(2):
        found = networks.find(cut_square(picture, to_square, FINDER_SIDE))
        points = project(np.linalg.inv(to_square), found.points)
        presence = max(presence, found.presence)
        pose = fit_similarity(points[: len(MIDLINE)], 1 / (found.variance[: len(MIDLINE)] + 2.0))
        scale = math.hypot(pose[0, 0], pose[1, 0])
        if not np.isfinite(scale) or not 0.2 < scale < max(width, height) / SHORTEST_BLADE_MM:
            return None
        to_square = turned @ _second_look(pose, scale, max(width, height))
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
    return np.array(
        [
            [scale, 0, FINDER_SIDE / 2 - scale * middle[0]],
            [0, scale, FINDER_SIDE / 2 - scale * middle[1]],
            [0, 0, 1.0],
        ]
    )


def _align(networks: Networks, picture: Array, pose: Array) -> Array | None:
    for _ in range(ALIGN_PASSES):
        answer = networks.align(straighten(picture, pose, ALIGN))
        moved = _moved(pose, ALIGN, answer.corners_mm, picture)
        if moved is None:
            return None
        pose = moved @ TURN_OVER if answer.side > 0 else moved
    return pose


def _settle(networks: Networks, picture: Array, rough: Rough, pose: Array) -> Sighting | None:
    """Measures, lays the strip in better by what was measured, and measures again until it no longer moves; None where it is no blade."""
    for turn in range(1, MEASURE_PASSES + 1):
        strip = straighten(picture, pose, READ)
        measured = networks.measure(strip)
        if measured.fit < (_LOST_AT_FIRST if turn == 1 else _LOST_LATER):
            return None
        if turn == MEASURE_PASSES or float(np.abs(measured.corners_mm).mean()) < SETTLED_MM:
            return Sighting(pose, strip, measured, rough.presence)
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
    return np.asarray(
        cv2.getPerspectiveTransform(SLOT.astype(np.float32), corners.astype(np.float32)), float
    )
