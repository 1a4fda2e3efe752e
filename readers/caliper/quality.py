"""What the photo gave to work with: scale, tilt, contrast and sharpness at the blade, what was cut off, how much shone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from readers.caliper.frames import READ, SLOT, Array, local_scale, project
from readers.caliper.networks import Measured

GLARE_LEVEL = 250
_STRIDE = READ.width // 96
_BESIDE_MM = 0.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """Measured on the photo and its strip: `px_per_mm` photo pixels a mm at the blade · `tilt_deg` roughly, from how much shorter one
    direction looks · `contrast` 0 to 1 across the blade's edges · `edge_mm` width of the edges' grey ramp · `glare` share of the blade
    that is burnt out · `outside` share of the blade that lies outside the photo."""

    px_per_mm: float
    tilt_deg: float
    contrast: float
    edge_mm: float
    glare: float
    outside: float

    @property
    def sharpness(self) -> float:
        """1 for edges a tenth of a mm wide or less, falling as they widen."""
        return math.sqrt(min(1.0, 0.1 / max(self.edge_mm, 1e-3)))


def examine(picture: Array, pose: Array, strip: Array, measured: Measured) -> Evidence:
    """Looks at an RGB photo (height, width, 3), the pose found, and the strip (144, 384, 3) that was measured."""
    grey = cv2.cvtColor(strip, cv2.COLOR_RGB2GRAY).astype(np.float32)
    contrast, edge_mm = _edges(grey, measured.edges)
    return Evidence(local_scale(pose), _tilt(pose), contrast, edge_mm, _glare(strip, measured.edges), _outside(picture, pose))


def _blade_columns() -> Array:
    """Indices of profile columns between shoulder and tip."""
    centres = (np.arange(96) + 0.5) * _STRIDE - 0.5
    u = centres / READ.px_per_mm + READ.u0
    return np.flatnonzero((u > 1) & (u < 24))


def _edges(grey: Array, edges: Array) -> tuple[float, float]:
    """Median contrast (0 to 1) and width (mm) of the grey ramp across both edges."""
    contrasts, widths = [], []
    for column in _blade_columns():
        line = grey[:, column * _STRIDE : (column + 1) * _STRIDE].mean(1)
        for side, outward in ((0, -1), (1, 1)):
            at = float(edges[side, column]) * READ.px_per_mm
            step = int(_BESIDE_MM * READ.px_per_mm)
            inner, outer = round(at - outward * step), round(at + outward * step)
            if min(inner, outer) < 1 or max(inner, outer) > len(line) - 2:
                continue
            rise = float(abs(line[outer] - line[inner]))
            part = line[min(inner, outer) - 1 : max(inner, outer) + 2]
            contrasts.append(rise / 255)
            widths.append(rise / max(float(np.abs(np.diff(part)).max()), 1.0) / READ.px_per_mm)
    if not contrasts:
        return 0.0, 1.0
    return float(np.median(contrasts)), float(np.median(widths))


def _tilt(pose: Array) -> float:
    middle, along, up = project(pose, np.array([[13.0, 4.3], [13.5, 4.3], [13.0, 4.8]]))
    long, short = np.linalg.svd(np.stack([along - middle, up - middle]), compute_uv=False)
    return math.degrees(math.acos(min(1.0, float(short / max(long, 1e-9)))))


def _glare(strip: Array, edges: Array) -> float:
    """Share of the blade where all channels are burnt out."""
    burnt: Array = np.all(strip >= GLARE_LEVEL, axis=2)
    total, hit = 0, 0
    for column in _blade_columns():
        top, bottom = (int(np.clip(edge * READ.px_per_mm, 0, READ.height)) for edge in edges[:, column])
        if bottom > top:
            total += bottom - top
            hit += int(burnt[top:bottom, column * _STRIDE].sum())
    return hit / total if total else 0.0


def _outside(picture: Array, pose: Array) -> float:
    """Share of the slot that lies outside the photo."""
    height, width = picture.shape[:2]
    grid = np.stack(np.meshgrid(np.linspace(0, SLOT[1, 0], 10), np.linspace(0, SLOT[2, 1], 4)), -1).reshape(-1, 2)
    x, y = project(pose, grid).T
    return float(1 - ((x > -1) & (y > -1) & (x < width) & (y < height)).mean())
