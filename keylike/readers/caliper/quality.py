"""The quality of a photo at the blade: scale, tilt, contrast, sharpness, glare, cropping."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from keylike.readers.caliper.frames import READ, SLOT, Array, local_scale, project, tilt_deg
from keylike.readers.caliper.networks import Measured

GLARE_LEVEL = 250
_STRIDE = READ.width // 96
_BESIDE_MM = 0.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """The measured quality of a photo.

    Attributes:
        px_per_mm: Photo pixels per mm at the blade.
        tilt_deg: Estimated tilt, see `frames.tilt_deg`.
        contrast: 0 to 1 across the blade's edges.
        edge_mm: Width of the grey ramp at the edges.
        glare: Share of the blade that is burnt out.
        outside: Share of the blade outside the photo.
    """

    px_per_mm: float
    tilt_deg: float
    contrast: float
    edge_mm: float
    glare: float
    outside: float

    @property
    def sharpness(self) -> float:
        """Return 1 for edges up to 0.1 mm wide, less for wider ones."""
        return math.sqrt(min(1.0, 0.1 / max(self.edge_mm, 1e-3)))


def examine(picture: Array, pose: Array, strip: Array, measured: Measured) -> Evidence:
    """Examine a photo.

    Args:
        picture: RGB photo (height, width, 3).
        pose: The pose that was found.
        strip: The strip (144, 384, 3) that was measured.
        measured: The measurer's answer.
    """
    grey = cv2.cvtColor(strip, cv2.COLOR_RGB2GRAY).astype(np.float32)
    contrast, edge_mm = _edges(grey, measured.edges)
    return Evidence(
        local_scale(pose),
        tilt_deg(pose),
        contrast,
        edge_mm,
        _glare(strip, measured.edges),
        _outside(picture, pose),
    )


def _blade_columns() -> Array:
    """Return the indices of the profile columns between shoulder and tip."""
    centres = (np.arange(96) + 0.5) * _STRIDE - 0.5
    u = centres / READ.px_per_mm + READ.u0
    return np.flatnonzero((u > 1) & (u < 24))


def _means(picture: Array) -> Array:
    """Return the mean of each row in each profile column, (144, 96)."""
    return cv2.resize(picture, (READ.width // _STRIDE, READ.height), interpolation=cv2.INTER_AREA)


def _edges(grey: Array, edges: Array) -> tuple[float, float]:
    """Return the median contrast (0 to 1) and width (mm) of the grey ramp across both edges."""
    columns = _blade_columns()
    lines = _means(grey)[:, columns].T
    at, outward = edges[:, columns] * READ.px_per_mm, np.array([[-1], [1]])
    inner, outer = (
        np.rint(at + way * outward * int(_BESIDE_MM * READ.px_per_mm)).astype(int)
        for way in (-1, 1)
    )
    low, high = np.minimum(inner, outer), np.maximum(inner, outer)
    side, column = np.nonzero((low >= 1) & (high <= READ.height - 2))
    if not len(side):
        return 0.0, 1.0
    low, high = low[side, column], high[side, column]
    rise = np.abs(lines[column, high] - lines[column, low])
    ramp = np.minimum(low[:, None] - 1 + np.arange((high - low).max() + 3), high[:, None] + 1)
    steepest = np.abs(np.diff(lines[column[:, None], ramp])).max(1)
    return float(np.median(rise / 255)), float(
        np.median(rise / np.maximum(steepest, 1.0) / READ.px_per_mm)
    )


def _glare(strip: Array, edges: Array) -> float:
    """Return the share of the blade on which all channels are burnt out."""
    columns = _blade_columns()
    top, bottom = np.clip(edges[:, columns] * READ.px_per_mm, 0, READ.height).astype(int)
    rows = np.arange(READ.height)[:, None]
    blade = (rows >= top) & (rows < bottom)
    burnt = _means(cv2.inRange(strip, (GLARE_LEVEL,) * 3, (255,) * 3).astype(np.float32) / 255)[
        :, columns
    ]
    return float(burnt[blade].sum() / max(1, blade.sum()))


def _outside(picture: Array, pose: Array) -> float:
    """Return the share of the slot outside the photo."""
    height, width = picture.shape[:2]
    grid = np.stack(
        np.meshgrid(np.linspace(0, SLOT[1, 0], 10), np.linspace(0, SLOT[2, 1], 4)), -1
    ).reshape(-1, 2)
    x, y = project(pose, grid).T
    return float(1 - ((x > -1) & (y > -1) & (x < width) & (y < height)).mean())
