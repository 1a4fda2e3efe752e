"""Simulates lens, sensor and file: uneven light, exposure, blur, sharpening, noise and JPEG."""

from __future__ import annotations

import math

import cv2
import numpy as np

from tools.training.draw import Array, chance, span


def expose(rng: np.random.Generator, picture: Array, hard: bool, dark: bool = False) -> Array:
    """Return the photo that a camera takes of a scene: uint8 RGB, compressed as JPEG once.

    Args:
        rng: Random source.
        picture: The rendered scene, (height, width, 3) float32.
        hard: True for more blur, noise and compression.
        dark: True to underexpose.
    """
    picture = _light(rng, picture, hard, dark)
    picture = _focus(rng, picture, hard)
    picture = _noise(rng, picture, hard)
    quality = int(span(rng, 30, 95) if hard else span(rng, 55, 97))
    ok, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if ok else None
    if decoded is None:
        raise RuntimeError("the picture could not be written as JPEG")
    return np.ascontiguousarray(decoded[..., ::-1])


def _light(rng: np.random.Generator, picture: Array, hard: bool, dark: bool) -> Array:
    height, width = picture.shape[:2]
    x = (np.arange(width, dtype=np.float32) / width - 0.5)[None]
    y = (np.arange(height, dtype=np.float32) / height - 0.5)[:, None]
    turn = span(rng, 0, 2 * math.pi)
    gain = 1 + span(rng, 0, 0.45 if hard else 0.25) * 2 * (x * math.cos(turn) + y * math.sin(turn))
    if chance(rng, 0.15):  # the edge of a shadow across the picture
        turn = span(rng, 0, 2 * math.pi)
        away = (
            (x * math.cos(turn) + y * math.sin(turn) - span(rng, -0.4, 0.4))
            * width
            / span(rng, 1, 30)
        )
        gain = gain * (1 - span(rng, 0.1, 0.55) / (1 + np.exp(np.clip(-away, -30, 30))))
    picture = picture * (gain[..., None] * rng.normal(1, 0.05, 3)).astype(np.float32)
    # Target brightness. Automatic exposure makes a white background grey. In 30 % of the photos the
    # target is higher, so that the network also sees white backgrounds.
    bright = span(rng, 60, 190) if chance(rng, 0.7) else span(rng, 150, 245)
    picture *= float(
        np.clip(
            (bright if not dark else span(rng, 35, 90)) / (float(picture.mean()) + 20), 0.5, 1.8
        )
    )
    gamma = span(rng, 0.75, 1.3)
    table = (255 * (np.arange(1024) / 1023) ** gamma).astype(np.float32)
    return table[np.clip(picture * (1023 / 255), 0, 1023).astype(np.int32)]


def _focus(rng: np.random.Generator, picture: Array, hard: bool) -> Array:
    sigma = span(rng, 0.2, 2.0) if hard else span(rng, 0, 1.0)
    if sigma > 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), sigma)
    if chance(rng, 0.25 if hard else 0.08):
        picture = cv2.filter2D(picture, -1, _shake(rng, int(rng.integers(3, 10 if hard else 6))))
    if chance(rng, 0.3):
        picture = picture + span(rng, 0.2, 1.0) * (picture - cv2.GaussianBlur(picture, (0, 0), 1.2))
    return picture


def _shake(rng: np.random.Generator, length: int) -> Array:
    kernel, turn, middle = (
        np.zeros((length, length), np.float32),
        span(rng, 0, math.pi),
        (length - 1) / 2,
    )
    for step in np.linspace(-middle, middle, 4 * length):
        kernel[round(middle + step * math.sin(turn)), round(middle + step * math.cos(turn))] = 1
    return kernel / kernel.sum()


def _noise(rng: np.random.Generator, picture: Array, hard: bool) -> Array:
    sigma = span(rng, 0, 14 if hard or chance(rng, 0.05) else 5)
    grey = rng.standard_normal(picture.shape[:2], dtype=np.float32)[..., None]
    coloured = np.roll(grey, rng.integers(1, 97, 2), (0, 1)) * (
        np.array([1, -0.6, 0.4], np.float32) * span(rng, 0, 1)
    )
    noise = (grey + coloured) * sigma
    if chance(rng, 0.5):
        noise = cv2.GaussianBlur(noise, (0, 0), span(rng, 0.3, 1.0)) * 1.5
    return np.clip(picture + noise, 0, 255).astype(np.uint8)
