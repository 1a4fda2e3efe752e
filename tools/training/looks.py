"""Looks: the appearance of a photo, such as paint, key ring, light, lens and photo software.

`random_look` returns a look for training. `NAMED` contains the looks of the robustness sets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from keylike.readers.caliper.frames import SLOT, project
from tools.training.draw import Array, chance, soft_blur, span, value_noise
from tools.training.light import METALS

# Possible values of the attributes of `Look`.
PAINTS = ("plain", "camouflage", "stripes", "print")
GROUNDS = ("seamless", "scan", "paper")
LIGHTS = ("blinds", "flash", "dark")
FILES = ("halo", "oversharpened", "recompressed", "chromatic", "motion")


@dataclass(frozen=True, slots=True)
class Look:
    """The appearance of one photo. The default values mean that an effect is absent.

    Attributes:
        head: The bow has a plastic head.
        paint: Paint on the key, one of PAINTS.
        ring: A split ring goes through the bow.
        tag: A tag hangs on the ring.
        mate: A second key hangs on the ring.
        tarnished: The plating is worn and has dark patches.
        ground: Even background, one of GROUNDS.
        light: Special light, one of LIGHTS.
        close: The blade fills the picture.
        barrel: Lens distortion: the radial shift at the corner of the picture as a fraction of
            half the diagonal. Negative for barrel distortion.
        portrait: The background is blurred.
        file: Effect of photo software or camera shake, one of FILES.
        grey: The photo has no colour.
    """

    head: bool = False
    paint: str | None = None
    ring: bool = False
    tag: bool = False
    mate: bool = False
    tarnished: bool = False
    ground: str | None = None
    light: str | None = None
    close: bool = False
    barrel: float = 0.0
    portrait: bool = False
    file: str | None = None
    grey: bool = False


PLAIN = Look()
NAMED = {
    "plastic head": Look(head=True),
    "ring and tag": Look(ring=True, tag=True),
    "ring mate": Look(ring=True, mate=True),
    "tarnished": Look(tarnished=True),
    "camouflage": Look(paint="camouflage"),
    "painted": Look(paint="plain"),
    "printed": Look(paint="print"),
    "close-up": Look(close=True, barrel=-0.04),
    "seamless": Look(ground="seamless"),
    "flatbed scan": Look(ground="scan"),
    "blinds": Look(light="blinds"),
    "flash": Look(light="flash"),
    "low light": Look(light="dark"),
    "portrait": Look(portrait=True),
    "halo": Look(file="halo"),
    "oversharpened": Look(file="oversharpened"),
    "recompressed": Look(file="recompressed"),
    "chromatic": Look(file="chromatic"),
    "motion": Look(file="motion"),
    "grey": Look(grey=True),
}


def random_look(rng: np.random.Generator) -> Look:
    """Return a random look for training. Two of five are plain; the others have a few effects."""
    if chance(rng, 0.4):
        return PLAIN

    def one(names: tuple[str, ...], share: float) -> str | None:
        return names[int(rng.integers(len(names)))] if chance(rng, share) else None

    ring = chance(rng, 0.2)
    return Look(
        head=chance(rng, 0.2), paint=one(PAINTS, 0.15), ring=ring, tag=chance(rng, 0.1), mate=ring and chance(rng, 0.3),
        tarnished=chance(rng, 0.25), ground=one(GROUNDS, 0.25), light=one(LIGHTS, 0.25), close=chance(rng, 0.15),
        barrel=span(rng, -0.08, 0.02) if chance(rng, 0.2) else 0.0, portrait=chance(rng, 0.08), file=one(FILES, 0.35), grey=chance(rng, 0.08),
    )  # fmt: skip


def even_ground(rng: np.random.Generator, look: Look, height: int, width: int) -> Array:
    """Return an even background, (height, width, 3) float32.

    `look.ground` selects it: "seamless" is pure white, "scan" the lid of a scanner (white or
    black), and "paper" white paper with light from one side.
    """
    y, x = np.mgrid[:height, :width].astype(np.float32)
    turn = span(rng, 0, 2 * math.pi)
    ramp = ((x / width - 0.5) * math.cos(turn) + (y / height - 0.5) * math.sin(turn))[..., None]
    if look.ground == "seamless":
        return np.full((height, width, 3), span(rng, 244, 258), np.float32) + 0 * ramp
    if look.ground == "scan":
        level = span(rng, 235, 256) if chance(rng, 0.7) else span(rng, 5, 60)
        return (
            np.full((height, width, 3), level, np.float32)
            + rng.standard_normal((height, width, 1), dtype=np.float32) * 1.5
        )
    warm = np.array([1.0, span(rng, 0.93, 1.0), span(rng, 0.82, 1.0)], np.float32)
    paper = span(rng, 170, 240) * (1 + span(rng, 0.05, 0.5) * ramp)
    return np.asarray(
        paper * warm
        + (value_noise(rng, height, width, span(rng, 2, 60), 3)[..., None] - 0.5)
        * span(rng, 0, 12),
        np.float32,
    )


def painted(
    rng: np.random.Generator, paint: str, rows: int, columns: int, px_per_mm: float
) -> Array:
    """Return the colours of a painted or printed key, (rows, columns, 3), 0 to 1."""
    colour = rng.random((4, 3)) * span(rng, 0.5, 1.0)
    coat = np.broadcast_to(colour[0], (rows, columns, 3)).astype(np.float32).copy()
    if paint == "camouflage":
        for each in colour[1:]:
            coat[
                value_noise(rng, rows, columns, span(rng, 2, 6) * px_per_mm, 2)
                > span(rng, 0.5, 0.65)
            ] = each
    elif paint == "stripes":
        y, x = np.mgrid[:rows, :columns].astype(np.float32) / px_per_mm
        turn = span(rng, 0, math.pi)
        coat[
            np.sin((x * math.cos(turn) + y * math.sin(turn)) * 2 * math.pi / span(rng, 2, 9))
            > span(rng, -0.5, 0.5)
        ] = colour[1]
    elif paint == "print":
        for _ in range(int(rng.integers(8, 40))):
            at = (int(span(rng, 0, columns)), int(span(rng, 0, rows)))
            cv2.circle(
                coat,
                at,
                max(1, int(span(rng, 0.4, 2.5) * px_per_mm)),
                rng.random(3).tolist(),
                -1,
                cv2.LINE_AA,
            )
    return coat


def cast_light(rng: np.random.Generator, picture: Array, look: Look) -> Array:
    """Return the picture with shadows of blinds, the bright spot of a flash, or little light."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    if look.light == "blinds":
        turn, period = span(rng, 0, math.pi), span(rng, 0.04, 0.2)
        wave = np.sin(
            (x * math.cos(turn) + y * math.sin(turn)) * 2 * math.pi / period + span(rng, 0, 6)
        )
        dark = soft_blur(
            (wave > span(rng, -0.4, 0.4)).astype(np.float32),
            span(rng, 0.003, 0.02) * max(height, width),
        )
        return np.asarray(picture * (1 - span(rng, 0.25, 0.65) * dark)[..., None])
    if look.light == "flash":
        cx, cy, wide = span(rng, 0.2, 0.8), span(rng, 0.2, 0.6), span(rng, 0.1, 0.5)
        spot = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * wide**2))
        return np.asarray(picture * (span(rng, 0.5, 0.9) + span(rng, 0.3, 1.2) * spot)[..., None])
    if look.light == "dark":
        return picture * span(rng, 0.3, 0.6)
    return picture


def worked_over(rng: np.random.Generator, photo: Array, look: Look) -> Array:
    """Return the photo (uint8) with the effects `look.file` and `look.grey`.

    They imitate photo software, colour fringes of a lens, and camera shake.
    """
    if look.file == "halo":
        wide = span(rng, 6, 0.03 * max(photo.shape) + 8)
        picture = photo.astype(np.float32)
        photo = _bytes(picture + span(rng, 0.3, 0.9) * (picture - soft_blur(picture, wide)))
    elif look.file == "oversharpened":
        picture = photo.astype(np.float32)
        photo = _bytes(
            picture
            + span(rng, 1.0, 3.0)
            * (picture - cv2.GaussianBlur(picture, (0, 0), span(rng, 0.7, 1.6)))
        )
    elif look.file == "chromatic":
        photo = _fringed(rng, photo)
    elif look.file == "motion":
        photo = _moved(rng, photo)
    if look.grey:
        photo = np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    if look.file == "recompressed":
        for _ in range(int(rng.integers(1, 4))):
            scale = span(rng, 0.8, 1.0)
            size = (photo.shape[1], photo.shape[0])
            small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, int(span(rng, 22, 70))])[
                1
            ]
            decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
            if decoded is None:
                raise RuntimeError("a JPEG that was just written cannot be read")
            photo = cv2.resize(decoded, size, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(photo)


def _bytes(picture: Array) -> Array:
    return np.clip(picture, 0, 255).astype(np.uint8)


def _fringed(rng: np.random.Generator, photo: Array) -> Array:
    height, width = photo.shape[:2]
    planes = list(cv2.split(photo))
    for plane in (0, 2):
        times = 1 + span(rng, -0.003, 0.003)
        shift = np.array(
            [
                [times, 0, width / 2 * (1 - times) + rng.normal(0, 0.4)],
                [0, times, height / 2 * (1 - times) + rng.normal(0, 0.4)],
            ]
        )
        planes[plane] = cv2.warpAffine(
            planes[plane],
            shift,
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return cv2.merge(planes)


def _moved(rng: np.random.Generator, photo: Array) -> Array:
    length = max(3, int(span(rng, 0.002, 0.008) * max(photo.shape)) | 1)
    kernel, turn = np.zeros((length, length), np.float32), span(rng, 0, math.pi)
    half = (length - 1) / 2
    end = (half * math.cos(turn), half * math.sin(turn))
    cv2.line(
        kernel,
        (round(half - end[0]), round(half - end[1])),
        (round(half + end[0]), round(half + end[1])),
        1.0,
        1,
    )
    return cv2.filter2D(photo, -1, kernel / kernel.sum())


def distorted(photo: Array, pose: Array, amount: float) -> tuple[Array, Array]:
    """Return the photo with radial lens distortion, and the pose that fits it best.

    Args:
        photo: The photo without distortion.
        pose: Homography from mm of the key to pixels.
        amount: Radial shift at the corner as a fraction of half the diagonal. Negative for barrel
            distortion.
    """
    height, width = photo.shape[:2]
    centre, half = np.array([(width - 1) / 2, (height - 1) / 2]), math.hypot(width, height) / 2

    def source(points: Array) -> Array:
        away = (points - centre) / half
        return np.asarray(
            centre + away * (1 - amount * (1 - (away**2).sum(-1, keepdims=True))) * half
        )

    y, x = np.mgrid[:height, :width].astype(np.float32)
    at = source(np.stack([x, y], -1)).astype(np.float32)
    bent = cv2.remap(
        photo, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    grid = np.stack(
        np.meshgrid(np.linspace(0, SLOT[1, 0], 8), np.linspace(0, SLOT[2, 1], 4)), -1
    ).reshape(-1, 2)
    straight = project(pose, grid)
    moved = straight.copy()
    for _ in range(20):  # inverts `source` by fixed-point iteration
        moved = moved + straight - source(moved)
    fitted = cv2.findHomography(grid, moved)[0]
    return bent, np.asarray(fitted / fitted[2, 2] * pose[2, 2], float)


def draw_ring(
    rng: np.random.Generator, picture: Array, hole: Array, turn: float, px_per_mm: float
) -> float:
    """Draw a split ring on the picture, in place, and return `turn`.

    Args:
        rng: Random source.
        picture: Picture to draw on.
        hole: Position (x, y) of the hole in the bow, in pixels.
        turn: Direction in radians from the hole to the centre of the ring.
        px_per_mm: Scale.
    """
    radius = span(rng, 9, 15) * px_per_mm
    centre = hole + np.array([math.cos(turn), math.sin(turn)]) * radius
    for wide, gain in ((span(rng, 1.4, 2.6), 0.5), (span(rng, 0.5, 1.1), 1.1)):
        mask: Array = np.zeros(picture.shape[:2], np.uint8)
        cv2.circle(
            mask,
            (int(centre[0]), int(centre[1])),
            int(radius),
            255,
            max(1, int(wide * px_per_mm)),
            cv2.LINE_AA,
        )
        colour = METALS[int(rng.integers(1, 4))] * 255 * gain * span(rng, 0.7, 1.1)
        shine = value_noise(rng, picture.shape[0], picture.shape[1], max(4.0, 6 * px_per_mm), 2)[
            ..., None
        ]
        share = mask.astype(np.float32)[..., None] / 255
        picture += share * (colour * (0.5 + 0.7 * shine) - picture).astype(np.float32)
    return turn


def draw_tag(
    rng: np.random.Generator, picture: Array, hole: Array, turn: float, px_per_mm: float
) -> None:
    """Draw a tag on the ring, in place. The arguments are those of `draw_ring`."""
    at = hole + np.array([math.cos(turn), math.sin(turn)]) * span(rng, 26, 40) * px_per_mm
    box = cv2.boxPoints(
        (
            (float(at[0]), float(at[1])),
            (span(rng, 15, 45) * px_per_mm, span(rng, 12, 25) * px_per_mm),
            span(rng, 0, 180),
        )
    )
    mask: Array = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(box).astype(np.int32)], 255, cv2.LINE_AA)
    share = cv2.GaussianBlur(mask, (0, 0), 0.8).astype(np.float32)[..., None] / 255
    picture += share * ((rng.random(3) * 255).astype(np.float32) - picture)
