"""Shades the key: its relief reflects random surroundings, with the colour of a metal."""

from __future__ import annotations

import math

import cv2
import numpy as np

from tools.training.draw import Array, chance, soft_blur, span, value_noise
from tools.training.relief import Relief
from tools.training.shapes import KeyShape

ENVIRONMENT = 64  # width and height in pixels of the map of the surroundings
_HALF = (ENVIRONMENT - 1) / 2
# Reflectance (red, green, blue, each 0 to 1) of brass, nickel silver, steel, dull steel, bronze,
# tarnished brass and pale brass. The values are chosen by eye.
METALS = np.array(
    [
        [0.88, 0.72, 0.45],
        [0.75, 0.72, 0.68],
        [0.72, 0.72, 0.72],
        [0.70, 0.66, 0.60],
        [0.80, 0.56, 0.42],
        [0.60, 0.48, 0.30],
        [0.80, 0.70, 0.55],
    ]
)


def surroundings(rng: np.random.Generator) -> Array:
    """Return random brightness of the surroundings for each direction, (64, 64) float32.

    Column and row stand for the x and y component of the direction, from -1 to 1.
    """
    y, x = np.mgrid[:ENVIRONMENT, :ENVIRONMENT].astype(np.float32) / _HALF - 1
    turn = span(rng, 0, 2 * math.pi)
    light = span(rng, 0.05, 0.8) + span(rng, 0, 0.5) * (x * math.cos(turn) + y * math.sin(turn))
    for _ in range(int(rng.integers(1, 8))):
        cx, cy, gain = span(rng, -1, 1), span(rng, -1, 1), span(rng, -0.7, 1.6)
        if chance(rng, 0.5):
            light = light + gain * np.exp(
                -((x - cx) ** 2 + (y - cy) ** 2) / (2 * span(rng, 0.05, 0.6) ** 2)
            )
        else:
            turn = span(rng, 0, math.pi)
            p = (x - cx) * math.cos(turn) + (y - cy) * math.sin(turn)
            q = -(x - cx) * math.sin(turn) + (y - cy) * math.cos(turn)
            light = light + gain * (
                (np.abs(p) < span(rng, 0.05, 0.9)) & (np.abs(q) < span(rng, 0.05, 0.5))
            )
    return np.clip(cv2.GaussianBlur(light.astype(np.float32), (0, 0), span(rng, 0.8, 9)), 0.02, 2.5)


def shade(
    rng: np.random.Generator,
    shape: KeyShape,
    relief: Relief,
    view: Array,
    coat: Array | None = None,
) -> tuple[Array, Array]:
    """Return the colours of the face and of the side wall.

    Both are (rows, columns, 3) float32 with values from 0 to 255, or slightly more in highlights.

    Args:
        rng: Random source.
        shape: The outline of the key.
        relief: The relief of the face.
        view: Unit vector towards the camera (u, v, out of the face).
        coat: Colours of the paint, (rows, columns, 3), 0 to 1. The walls of the cuts stay bare,
            because a key is cut after painting.
    """
    light = surroundings(rng)
    metal = METALS[int(rng.integers(len(METALS)))] if chance(rng, 0.94) else rng.random(3)
    metal = np.clip(
        metal * rng.normal(1, 0.06, 3) * (span(rng, 0.2, 0.6) if chance(rng, 0.1) else 1), 0.03, 1
    )
    face = _face(rng, light, shape, relief, view, metal)
    wall = _wall(rng, light, shape, relief, view, metal)
    if coat is not None:
        face = _coated(rng, face, coat, span(rng, 0.75, 1.0))
        bare = _cut_away(shape)
        wall = np.where(bare[..., None], wall, _coated(rng, wall, coat, 0.9)).astype(np.float32)
    if shape.head is not None:
        plastic = np.broadcast_to(
            (rng.random(3) * span(rng, 0.1, 1.0)).astype(np.float32), face.shape
        )
        inside = soft_blur(shape.head, max(0.5, span(rng, 0.3, 1.5) * shape.px_per_mm))
        lit = plastic * (255 * (span(rng, 0.5, 0.9) + span(rng, 0.1, 0.5) * inside))[..., None]
        share = shape.head[..., None]
        face, wall = face + share * (lit - face), wall + share * (0.6 * lit - wall)
    return face, wall


def tarnish(rng: np.random.Generator, face: Array, px_per_mm: float) -> Array:
    """Return the face with dark, dull patches where the plating is worn or tarnished."""
    rows, columns = face.shape[:2]
    worn = value_noise(rng, rows, columns, span(rng, 1, 8) * px_per_mm, 4)
    share = np.clip((worn - span(rng, 0.25, 0.6)) * span(rng, 2, 8), 0, 1)[..., None] * span(
        rng, 0.4, 0.95
    )
    colour = METALS[int(rng.integers(len(METALS)))] * 255 * span(rng, 0.1, 0.7)
    dull = colour * (0.7 + 0.3 * face.mean(2, keepdims=True) / max(1.0, float(face.mean())))
    return np.asarray(face + share * (dull - face), np.float32)


def _coated(rng: np.random.Generator, colours: Array, coat: Array, cover: float) -> Array:
    """Return the colours of painted metal: the paint's colour with the metal's light and shade.

    `cover` is the opacity of the paint, 0 to 1.
    """
    light = 0.55 + 0.45 * colours.mean(2, keepdims=True) / max(1.0, float(colours.mean()))
    return np.asarray(
        colours + cover * (coat * 235 * np.clip(light, 0.3, 1.6) * span(rng, 0.7, 1.1) - colours),
        np.float32,
    )


def _cut_away(shape: KeyShape) -> Array:
    """Return a mask (rows, columns) that is True where the side wall belongs to a cut."""
    rows, columns = shape.mask.shape
    u = np.arange(columns) / shape.px_per_mm + float(shape.origin[0])
    v = np.arange(rows) / shape.px_per_mm + float(shape.origin[1])
    edge = np.interp(u, shape.blade.u, shape.blade.upper, left=99, right=99)
    return np.asarray((edge < shape.blade.height - 0.2)[None] & (v[:, None] > edge[None] - 0.8))


def _mirror(light: Array, x: Array, y: Array) -> Array:
    return cv2.remap(
        light,
        ((x + 1) * _HALF).astype(np.float32),
        ((y + 1) * _HALF).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )


def _face(
    rng: np.random.Generator,
    light: Array,
    shape: KeyShape,
    relief: Relief,
    view: Array,
    metal: Array,
) -> Array:
    rows, columns = shape.mask.shape
    px = shape.px_per_mm
    up = 1 / np.sqrt(1 + relief.slope_u**2 + relief.slope_v**2)
    nu, nv = -relief.slope_u * up, -relief.slope_v * up
    bend = span(rng, 0, 0.012)  # change per mm of the direction to the lens
    vu = (
        view[0]
        + ((np.arange(columns, dtype=np.float32) - columns / 2) / px * bend * span(rng, -1, 1))[
            None
        ]
    )
    vv = view[1] + ((np.arange(rows, dtype=np.float32) - rows / 2) / px * bend)[:, None]
    facing = nu * vu + nv * vv + up * float(view[2])
    bright = _mirror(light, 2 * facing * nu - vu, 2 * facing * nv - vv)
    lamp_u, lamp_v = rng.normal(0, 0.6, 2)
    dull = np.clip((nu * lamp_u + nv * lamp_v + up) / math.sqrt(1 + lamp_u**2 + lamp_v**2), 0, 1)
    mix = span(rng, 0, 0.7)
    bright = bright * (1 - mix) + dull * (mix * span(rng, 0.3, 1.3))
    colour = bright[..., None] * (metal * span(rng, 0.6, 1.5)).astype(np.float32)
    if chance(rng, 0.55):  # patches of tarnish
        other = METALS[int(rng.integers(len(METALS)))] * span(rng, 0.3, 1.1)
        patch = value_noise(rng, rows, columns, span(rng, 1, 10) * px, 3)
        share = (
            np.clip((patch - span(rng, 0.3, 0.7)) * span(rng, 2, 10), 0, 1) * span(rng, 0.1, 0.9)
        )[..., None]
        colour = colour * (1 - share) + bright[..., None] * share * other.astype(np.float32)
    if chance(rng, 0.3):  # specks of dirt
        dirt = value_noise(rng, rows, columns, span(rng, 0.1, 0.6) * px, 2) > span(rng, 0.6, 0.8)
        colour *= (1 - span(rng, 0.1, 0.6) * dirt.astype(np.float32))[..., None]
    return np.clip(colour * 255, 0, 280).astype(np.float32)


def _wall(
    rng: np.random.Generator,
    light: Array,
    shape: KeyShape,
    relief: Relief,
    view: Array,
    metal: Array,
) -> Array:
    along = relief.wall_u * float(view[0]) + relief.wall_v * float(view[1])
    bright = _mirror(
        light,
        2 * along * relief.wall_u - float(view[0]),
        2 * along * relief.wall_v - float(view[1]),
    )
    lamp_u, lamp_v = rng.normal(0, 0.7, 2)
    dull = np.clip(0.5 + 0.5 * (relief.wall_u * lamp_u + relief.wall_v * lamp_v), 0, 1.2)
    bright = (0.6 * bright + 0.4 * span(rng, 0.3, 1.2) * dull) * span(rng, 0.35, 1.15)
    if chance(rng, 0.4):  # grinding marks of the cutting wheel
        grain = cv2.GaussianBlur(
            rng.standard_normal(bright.shape, dtype=np.float32),
            (5, 5),
            max(0.4, 0.1 * shape.px_per_mm),
        )
        bright = bright * (1 + span(rng, 0, 0.25) * grain)
    colour = metal if chance(rng, 0.6) else METALS[int(rng.integers(len(METALS)))]
    return np.clip(bright[..., None] * (colour * 255).astype(np.float32), 0, 280).astype(np.float32)
