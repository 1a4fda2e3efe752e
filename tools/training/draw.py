"""Helpers for drawing: random numbers, value noise, sub-pixel polygons, superellipses, blur."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_SUBPIXEL_BITS = 4  # fractional bits of OpenCV's coordinates: sixteenths of a pixel


def span(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a random number from the uniform distribution over [low, high)."""
    return float(rng.uniform(low, high))


def chance(rng: np.random.Generator, probability: float) -> bool:
    """Return True with the given probability."""
    return bool(rng.random() < probability)


def value_noise(
    rng: np.random.Generator,
    height: int,
    width: int,
    cell: float,
    octaves: int = 1,
    stretch: float = 1.0,
) -> Array:
    """Return smooth noise between 0 and 1, (height, width) float32.

    Args:
        rng: Random source.
        height: Height in pixels.
        width: Width in pixels.
        cell: Size of the largest bumps in pixels.
        octaves: Number of layers. Each has bumps of half the size and half the height.
        stretch: Factor on the length of the bumps along x.
    """
    total = np.zeros((height, width), np.float32)
    amplitude = 1.0
    for _ in range(octaves):
        rows, columns = max(2, int(height / cell) + 2), max(2, int(width / (cell * stretch)) + 2)
        coarse = rng.random((rows, columns), dtype=np.float32)
        total += amplitude * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        amplitude *= 0.5
        cell = max(1.0, cell / 2)
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(1e-6, high - low)


def fill_polygon(
    mask: Array, points: Any, px_per_mm: float, origin: Array, value: int = 255
) -> None:
    """Fill a polygon with corners in mm in a uint8 mask. Its pixel (0, 0) is at `origin` in mm."""
    scaled = (np.asarray(points, float) - origin) * px_per_mm * (1 << _SUBPIXEL_BITS)
    cv2.fillPoly(mask, [np.round(scaled).astype(np.int32)], value, cv2.LINE_AA, _SUBPIXEL_BITS)


def superellipse(
    centre: tuple[float, float], radii: tuple[float, float], power: float = 2.0, steps: int = 72
) -> Array:
    """Return points (steps, 2) on the curve |x/a|^p + |y/b|^p = 1 around `centre`.

    Power 2 gives an ellipse. A larger power gives a rounded rectangle.
    """
    angle = np.linspace(0, 2 * math.pi, steps, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    x = centre[0] + radii[0] * np.sign(cos) * np.abs(cos) ** (2 / power)
    y = centre[1] + radii[1] * np.sign(sin) * np.abs(sin) ** (2 / power)
    return np.stack([x, y], 1)


def soft_blur(image: Array, sigma: float) -> Array:
    """Blur with a Gaussian of `sigma` pixels.

    From a sigma of 6, the blur runs on a smaller copy, which is faster and looks the same.
    """
    factor = int(sigma // 3)
    if factor < 2:
        return cv2.GaussianBlur(image, (0, 0), sigma)
    height, width = image.shape[:2]
    small = cv2.resize(
        image, (max(2, width // factor), max(2, height // factor)), interpolation=cv2.INTER_AREA
    )
    return cv2.resize(
        cv2.GaussianBlur(small, (0, 0), sigma / factor),
        (width, height),
        interpolation=cv2.INTER_LINEAR,
    )
