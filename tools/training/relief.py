"""The relief of a key's face: grooves, bevel, stamped letters, brushing and scratches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from tools.training.draw import Array, chance, fill_polygon, span, superellipse, value_noise
from tools.training.shapes import KeyShape


@dataclass(frozen=True, slots=True)
class Relief:
    """The relief of a face, as slopes of its surface. All arrays are (rows, columns) float32.

    Attributes:
        slope_u: Slope along u, in mm of height per mm.
        slope_v: Slope along v, in mm of height per mm.
        wall_u: u component of the unit vector that points out of the side wall.
        wall_v: v component of that vector.
    """

    slope_u: Array
    slope_v: Array
    wall_u: Array
    wall_v: Array


def carve(rng: np.random.Generator, shape: KeyShape) -> Relief:
    """Return the relief of one face.

    For a dimple key, call `carve_dimples` afterwards; for a laser-cut key, `carve_track`.
    """
    rows, columns = shape.mask.shape
    px = shape.px_per_mm
    u = np.arange(columns, dtype=np.float32) / px + float(shape.origin[0])
    v = np.arange(rows, dtype=np.float32) / px + float(shape.origin[1])
    depth = _grooves(rng, u, v, shape.blade.height)
    _raise_bow(rng, depth, shape)
    _stamp_letters(rng, depth, shape)
    _bevel(rng, depth, shape)
    if chance(rng, 0.5):
        depth = cv2.GaussianBlur(depth, (0, 0), max(0.25, span(rng, 0.02, 0.12) * px))
    slope_u = cv2.Sobel(depth, cv2.CV_32F, 1, 0, ksize=1) * (px / 2)
    slope_v = cv2.Sobel(depth, cv2.CV_32F, 0, 1, ksize=1) * (px / 2)
    _brush(rng, slope_u, slope_v, px)
    return Relief(slope_u, slope_v, *_wall_direction(shape))


def _grooves(rng: np.random.Generator, u: Array, v: Array, height: float) -> Array:
    """Return depths in mm of up to four grooves along the blade, and sometimes a milled half."""
    depth = np.zeros((len(v), len(u)), np.float32)
    for _ in range(int(rng.integers(0, 5))):
        centre, half, edge = (
            span(rng, 0.03, 0.97) * height,
            span(rng, 0.15, 1.2),
            span(rng, 0.05, 0.6),
        )
        deep = span(rng, 0.15, 0.8) * (1 if chance(rng, 0.85) else -0.5)
        run = np.clip((u - span(rng, -6.5, 3)) / span(rng, 0.2, 6), 0, 1)
        away = np.abs(v - centre)
        if chance(rng, 0.5):  # the end of the groove gets narrower like the point of a spear
            narrow = np.maximum(edge * run, 1e-3)[None]
            depth -= deep * np.clip(((half + edge) * run[None] - away[:, None]) / narrow, 0, 1)
        elif chance(rng, 0.3):
            depth -= (
                deep * np.sqrt(np.clip(1 - (away / (half + edge)) ** 2, 0, 1))[:, None] * run[None]
            )
        else:
            depth -= deep * np.clip((half + edge - away) / edge, 0, 1)[:, None] * run[None]
    if chance(rng, 0.35):
        side = 1 if chance(rng, 0.5) else -1
        step = np.clip((v - span(rng, 0.2, 0.8) * height) * side / span(rng, 0.05, 0.8), 0, 1)
        depth -= (
            span(rng, 0.1, 0.6)
            * step[:, None]
            * np.clip((u - span(rng, -5, 2)) / span(rng, 0.3, 4), 0, 1)[None]
        )
    return depth


def _raise_bow(rng: np.random.Generator, depth: Array, shape: KeyShape) -> None:
    centre, middle, long, wide = shape.bow
    if centre + long < shape.origin[0] or chance(rng, 0.4):
        return
    field = np.zeros(depth.shape, np.uint8)
    radii = (long * span(rng, 0.5, 0.9), wide * span(rng, 0.5, 0.9))
    fill_polygon(
        field, superellipse((centre, middle), radii, span(rng, 2, 8)), shape.px_per_mm, shape.origin
    )
    soft = cv2.GaussianBlur(field, (0, 0), max(0.4, 0.15 * shape.px_per_mm)).astype(np.float32)
    depth += soft / 255 * span(rng, -0.3, 0.3)
    if chance(rng, 0.5):  # ribs across the bow
        u = np.arange(depth.shape[1], dtype=np.float32) / shape.px_per_mm + float(shape.origin[0])
        ribs = np.sin(u * 2 * math.pi / span(rng, 1.2, 4)) > span(rng, 0.0, 0.8)
        depth += span(rng, 0.05, 0.2) * (ribs & (u < -3))[None].astype(np.float32)


def _stamp_letters(rng: np.random.Generator, depth: Array, shape: KeyShape) -> None:
    if chance(rng, 0.5):
        return
    px = shape.px_per_mm
    field: Array = np.zeros(depth.shape, np.uint8)
    text = "".join(chr(int(c)) for c in rng.integers(48, 91, int(rng.integers(2, 7))))
    at = (
        (span(rng, -26, -4) - shape.origin[0]) * px,
        (span(rng, 1, shape.blade.height) - shape.origin[1]) * px,
    )
    cv2.putText(
        field,
        text,
        (int(at[0]), int(at[1])),
        int(rng.integers(0, 8)),
        px * span(rng, 1.5, 4) / 22,
        255,
        max(1, int(px * 0.25)),
        cv2.LINE_AA,
    )
    if chance(rng, 0.5):
        field = cv2.flip(field, 0)
    depth -= (
        cv2.GaussianBlur(field, (0, 0), max(0.3, 0.05 * px)).astype(np.float32)
        / 255
        * span(rng, 0.05, 0.2)
    )


def _bevel(rng: np.random.Generator, depth: Array, shape: KeyShape) -> None:
    width = span(rng, 0, 0.4)
    if width * shape.px_per_mm <= 0.6:
        return
    inside = (
        cv2.distanceTransform((shape.mask > 0.5).astype(np.uint8), cv2.DIST_L2, 3) / shape.px_per_mm
    )
    missing = np.maximum(0, width - inside)
    depth -= missing * missing / (2 * width) * span(rng, 0.3, 2)


def _brush(rng: np.random.Generator, slope_u: Array, slope_v: Array, px: float) -> None:
    """Add brush marks, waves of the sheet metal and single scratches to the slopes, in place."""
    rows, columns = slope_u.shape
    grain = rng.standard_normal((rows, columns), dtype=np.float32)
    along, strength = chance(rng, 0.5), span(rng, 0, 0.10) ** 1.5 * 2
    long = span(rng, 2, 25)
    wide = 2 * int(2 * long) + 1
    size, sigmas = ((wide, 3), (long, 0.6)) if along else ((3, wide), (0.6, long))
    grain = cv2.GaussianBlur(grain, size, sigmaX=sigmas[0], sigmaY=sigmas[1]) * (
        math.sqrt(long * 0.6) * 1.5
    )
    target = slope_v if along else slope_u
    target += grain * strength
    wave = span(rng, 0, 0.06)
    slope_u += wave * (value_noise(rng, rows, columns, span(rng, 1, 6) * px, 2) - 0.5)
    slope_v += wave * (value_noise(rng, rows, columns, span(rng, 1, 6) * px, 2) - 0.5)
    if chance(rng, 0.5):
        return
    scratches = np.zeros((rows, columns), np.uint8)
    for _ in range(int(rng.integers(1, 14))):
        start = np.array([span(rng, 0, columns), span(rng, 0, rows)])
        end = start + rng.normal(0, 4 * px, 2)
        cv2.line(
            scratches,
            [int(x) for x in start],
            [int(x) for x in end],
            int(rng.integers(60, 255)),
            1,
            cv2.LINE_AA,
        )
    slope_v += scratches.astype(np.float32) * (span(rng, -0.4, 0.4) / 255)


def _wall_direction(shape: KeyShape) -> tuple[Array, Array]:
    soft = cv2.GaussianBlur(shape.mask, (0, 0), max(0.7, 0.12 * shape.px_per_mm))
    wall_u = -cv2.Sobel(soft, cv2.CV_32F, 1, 0, ksize=3)
    wall_v = -cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3)
    length = np.sqrt(wall_u * wall_u + wall_v * wall_v) + 1e-6
    return wall_u / length, wall_v / length


def carve_dimples(rng: np.random.Generator, relief: Relief, shape: KeyShape) -> None:
    """Add rows of round pits to the blade's face, as on a dimple key, in place."""
    px, (rows, columns) = shape.px_per_mm, relief.slope_u.shape
    vv, uu = np.mgrid[:rows, :columns].astype(np.float32)
    for row in np.linspace(0.25, 0.75, int(rng.integers(1, 4))) * shape.blade.height:
        for along in np.arange(span(rng, 2, 5), shape.blade.length - 3, span(rng, 2.2, 3.6)):
            radius = span(rng, 0.6, 1.3) * px
            du, dv = uu - (along - shape.origin[0]) * px, vv - (row - shape.origin[1]) * px
            inside = (du * du + dv * dv < radius * radius).astype(np.float32)
            relief.slope_u[...] += inside * du / radius
            relief.slope_v[...] += inside * dv / radius


def carve_track(rng: np.random.Generator, relief: Relief, shape: KeyShape) -> None:
    """Add one winding groove to the blade's face, as on a laser-cut key, in place."""
    px, (rows, columns) = shape.px_per_mm, relief.slope_u.shape
    vv, uu = np.mgrid[:rows, :columns].astype(np.float32)
    u = uu / px + float(shape.origin[0])
    centre = shape.blade.height * (
        0.5 + span(rng, 0.1, 0.2) * np.sin(u * span(rng, 0.4, 1.2) + span(rng, 0, 6))
    )
    away = (vv / px + float(shape.origin[1]) - centre) / span(rng, 0.7, 1.3)
    inside = (np.abs(away) < 1) & (u > 1) & (u < shape.blade.length - 1)
    relief.slope_v[...] += inside * away * span(rng, 0.6, 1.5)
