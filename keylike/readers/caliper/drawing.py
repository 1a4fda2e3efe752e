"""The outline and the cut lines of a reading in photo pixels."""

from __future__ import annotations

import cv2
import numpy as np

from keylike.keys.keyways import Keyway
from keylike.readers.caliper.frames import READ, Array, project
from keylike.readers.contract import CutLine, Drawing, Point

_COLUMNS = 96
# Outline points nearer than this to the line between their neighbours are dropped, photo pixels.
_STRAIGHT_PX = 0.3


def draw_geometry(
    pose: Array, edges: Array, way: Keyway, depths_mm: Array, size: tuple[int, int]
) -> Drawing:
    """Return outline and cut lines in photo pixels.

    Args:
        pose: From millimetres to photo pixels.
        edges: Upper and lower edge, mm from the strip's top, shape (2, 96).
        way: The keyway that was read.
        depths_mm: Blade height at each cut.
        size: Width and height of the photo.
    """
    from_strip = pose @ np.linalg.inv(READ.matrix)
    x = (np.arange(_COLUMNS) + 0.5) * READ.width / _COLUMNS - 0.5
    u = x / READ.px_per_mm + READ.u0
    on = (u > 0) & (u < (way.blade_length_mm or 28.0) - 0.4)
    upper, lower = (
        project(from_strip, np.stack([x[on], edge[on] * READ.px_per_mm - 0.5], 1)) for edge in edges
    )
    around = np.concatenate([lower, upper[::-1]]).astype(np.float32)
    outline = tuple(_point(p) for p in cv2.approxPolyDP(around, _STRAIGHT_PX, closed=True)[:, 0])
    lines = []
    for i, depth in enumerate(depths_mm):
        along = way.first_cut_mm + way.spacing_mm * i
        foot, root = project(pose, np.array([[along, 0.0], [along, float(depth)]]))
        lines.append(CutLine(i + 1, _point(foot), _point(root)))
    return Drawing(outline, tuple(lines), size)


def _point(xy: Array) -> Point:
    return float(xy[0]), float(xy[1])
