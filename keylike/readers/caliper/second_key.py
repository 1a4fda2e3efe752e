"""Searches a photo for a second key, apart from the one that was found.

The finder's logit of further keys is right for most photos. In between, this search decides: it
paints the key over and looks for another blade, on the whole photo and then in windows of the size
of a key.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np

from keylike.readers.caliper.frames import (
    FINDER_SIDE,
    MIDLINE,
    PADDING,
    SLOT,
    Array,
    cut_square,
    fit_similarity,
    local_scale,
    project,
)
from keylike.readers.caliper.locate import (
    KEY_LENGTH_MM,
    SECOND_LOOK_SHARE,
    Rough,
    align,
    look,
    settle,
)
from keylike.readers.caliper.networks import Networks

# Outline (u, v) of a house key in mm, and the width of the rim that gives the colour to paint with.
_OUTLINE = np.array(
    [[-32.0, -9], [-2, -9], [-2, -2], [31, -2], [31, 11], [-2, 11], [-2, 18], [-32, 18]]
)
_RIM_MM = 1.5
# A second blade has at least this fit, and a scale in this range of the first one's. A much smaller
# key is not the subject.
_LEAST_FIT, _SCALES = 3.0, (0.6, 1.7)
_MOST_WINDOWS = 20


def second_key(networks: Networks, picture: Array, pose: Array) -> bool:
    """Return True if the photo shows another blade besides the one with this pose."""
    outline = np.round(project(pose, _OUTLINE)).astype(np.int32)
    without = _painted_over(picture, outline, max(2, round(_RIM_MM * local_scale(pose))))

    def apart(other: Array) -> bool:
        x, y = project(other, SLOT.mean(0))[0]
        outside = cv2.pointPolygonTest(outline.astype(np.float32), (float(x), float(y)), False) < 0
        return outside and _SCALES[0] < local_scale(other) / local_scale(pose) < _SCALES[1]

    for rough in _starts(networks, without, local_scale(pose)):
        aligned = align(networks, without, rough.pose) if apart(rough.pose) else None
        fit = None if aligned is None else settle(networks, without, rough, aligned)
        if fit is not None and fit.measured.fit >= _LEAST_FIT and apart(fit.pose):
            return True
    return False


def _painted_over(picture: Array, outline: Array, rim_px: int) -> Array:
    """Return a copy of the photo with the outline filled with the median colour around it."""
    inside = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(inside, [outline], (255,))
    rim = np.zeros_like(inside)
    cv2.polylines(rim, [outline], True, (255,), rim_px)
    around = picture[(rim > 0) & (inside == 0)]
    without = picture.copy()
    without[inside > 0] = np.median(around, 0) if len(around) else PADDING
    return without


def _starts(networks: Networks, picture: Array, px_per_mm: float) -> Iterator[Rough]:
    """Yield rough poses: of a look at the whole photo, then of windows in which a key is seen."""
    rough = look(networks, picture)
    if rough is not None:
        yield rough
    height, width = picture.shape[:2]
    side = KEY_LENGTH_MM * px_per_mm / SECOND_LOOK_SHARE
    scale = FINDER_SIDE / side
    across, down = (max(1, math.ceil(2 * length / side) - 1) for length in (width, height))
    if across * down > _MOST_WINDOWS:
        return
    for x in np.linspace(min(side, width) / 2, max(width - side / 2, width / 2), across):
        for y in np.linspace(min(side, height) / 2, max(height - side / 2, height / 2), down):
            half = FINDER_SIDE / 2
            to_square = np.array(
                [[scale, 0, half - scale * x], [0, scale, half - scale * y], [0, 0, 1.0]]
            )
            found = networks.find(cut_square(picture, to_square, FINDER_SIDE))
            points = project(np.linalg.inv(to_square), found.points)[: len(MIDLINE)]
            if found.presence > 0:
                weights = 1 / (found.variance[: len(MIDLINE)] + 2.0)
                yield Rough(fit_similarity(points, weights), found.presence)
