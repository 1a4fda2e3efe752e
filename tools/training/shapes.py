"""The outline of a key in its own plane: blade with true cut geometry, tip, shoulder and bow.

The plane's frame: u millimetres from the shoulder stop (0) to the tip, v millimetres from the uncut edge (0) up to the cuts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from keylike.keys.keyways import Keyway
from tools.training.draw import Array, chance, fill_polygon, span, superellipse

STEP_MM = 0.05
MOST_CUTS = 6
FULL_EXTENT = (-38.0, 36.0, -14.0, 23.0)
BLADE_EXTENT = (-13.0, 36.0, -5.0, 14.0)
BLANK = "blank"
OTHER = "other"
DOUBLE = "double-sided"
FIVE_OF_SIX = 0.15  # share of six-pin blanks that carry five cuts
TWO_SIDED = 0.15  # share of the other families' keys that are cut on both edges


@dataclass(frozen=True, slots=True)
class BladePlan:
    """One blade before it is drawn: its measures in mm and the profile sampled every STEP_MM along u.

    `codes` are the maker's depths bow to tip (empty for blanks and odd keys), `centres` and `depths` what was really cut.
    `upper` and `lower` are the edges; cuts are on the upper one (on both where `family` is DOUBLE). `family` is the keyway's own name.
    `stop` is False for keys that are gauged from the tip and have no shoulder.
    """

    keyway: str
    family: str
    stop: bool
    codes: tuple[int, ...]
    centres: Array
    depths: Array
    height: float
    length: float
    tip_v: float
    u: Array
    upper: Array
    lower: Array


@dataclass(frozen=True, slots=True)
class KeyShape:
    """A drawn outline: `mask` float32 0..1, shape (rows, columns), `px_per_mm`, origin (u, v) of its first pixel."""

    blade: BladePlan
    mask: Array
    px_per_mm: float
    origin: Array
    bow: tuple[float, float, float, float]


def random_codes(rng: np.random.Generator, keyway: Keyway, cuts: int) -> tuple[int, ...]:
    """A code the keyway allows: uniform over the depths, redrawn until no neighbours differ by more than MACS."""
    numbers = list(keyway.depths_mm)
    while True:
        ranks = rng.integers(0, len(numbers), cuts)
        if keyway.macs is None or cuts < 2 or int(np.abs(np.diff(ranks)).max()) <= keyway.macs:
            return tuple(numbers[int(rank)] for rank in ranks)


def plan_blade(rng: np.random.Generator, keyway: Keyway, kind: str) -> BladePlan:
    """Draws a blade of this keyway with a random code; `kind` BLANK leaves it uncut. Sizes vary as blanks of many makers do."""
    height = (keyway.blade_height_mm or max(keyway.depths_mm.values()) + 0.2) * span(
        rng, 0.985, 1.015
    )
    centres, depths, codes = _cuts(rng, keyway, height, kind)
    length = _length(rng, keyway, centres)
    u = np.arange(0, length, STEP_MM)
    flat = (keyway.cut_flat_mm or 1.2) * span(rng, 0.85, 1.15)
    slope = 1 / math.tan(math.radians((keyway.cut_angle_deg or 90) / 2 + span(rng, -3, 3)))
    upper = np.full_like(u, height)
    for centre, depth in zip(centres, depths, strict=True):
        upper = np.minimum(upper, depth + np.maximum(0, np.abs(u - centre) - flat / 2) * slope)
    upper = _worn(rng, upper)
    tip_v = span(rng, 0.15, 0.65) * height
    reach = length - centres[-1] - flat / 2 - 0.15 if len(centres) else 3.0
    needed = (depths[-1] + 0.3 - tip_v) / max(0.5, reach) if len(depths) else 0.0
    ramp_up = max(
        span(rng, 0.7, 2.2), needed
    )  # a flatter tip ramp would swallow the last cut and mislabel it
    upper = np.minimum(upper, np.maximum(tip_v + (length - u) * ramp_up, tip_v))
    # From a stream of its own, so that all else a seed draws stays as it was.
    aside = rng.spawn(1)[0]
    back, family = _uncut_edge(aside, u, length), keyway.name
    if kind == OTHER and chance(aside, TWO_SIDED):
        back, family = _other_side(aside, u, height, upper), DOUBLE
    lower = np.minimum(np.maximum(back, tip_v - (length - u) * span(rng, 0.5, 2.2)), upper)
    name, stop = keyway.name if kind != OTHER else OTHER, keyway.gauge != "tip"
    return BladePlan(
        name, family, stop, codes, centres, depths, height, length, tip_v, u, upper, lower
    )


def _other_side(rng: np.random.Generator, u: Array, height: float, upper: Array) -> Array:
    """Cuts on the lower edge too, as on keys of cars, cabinets and padlocks that go in either way up: the same ones or others."""
    if chance(rng, 0.5):
        return np.minimum(height - upper, 0.45 * height)
    spacing, flat, slope = span(rng, 1.8, 3.2), span(rng, 0.5, 1.4), span(rng, 0.7, 1.2)
    lower = np.zeros_like(u)
    for centre in np.arange(span(rng, 2, 5), float(u[-1]) - 4, spacing):
        lower = np.maximum(
            lower, span(rng, 0, 0.3) * height - np.maximum(0, np.abs(u - centre) - flat / 2) * slope
        )
    return lower


def _uncut_edge(rng: np.random.Generator, u: Array, length: float) -> Array:
    """How far the uncut edge lies inside the straight line that heights are gauged from: on many blanks it rises towards the shoulder."""
    if chance(rng, 0.4):
        return np.zeros_like(u)
    reach = length * span(rng, 0.6, 1.0) if chance(rng, 0.3) else span(rng, 1.5, 12)
    left = np.clip(1 - u / reach, 0, 1)
    return span(rng, 0.05, 0.6) * left ** span(rng, 0.7, 2.0)


def _cuts(
    rng: np.random.Generator, keyway: Keyway, height: float, kind: str
) -> tuple[Array, Array, tuple[int, ...]]:
    if kind == BLANK:
        return np.zeros(0), np.zeros(0), ()
    # A six-pin blank with five cuts opens a lock with five pins; its sixth place keeps the blade's full height.
    spare = kind != OTHER and keyway.cuts == MOST_CUTS and chance(rng.spawn(1)[0], FIVE_OF_SIX)
    codes = random_codes(rng, keyway, keyway.cuts - spare)
    first = keyway.first_cut_mm
    if (
        keyway.gauge == "tip"
    ):  # counted from the tip stop: lay the row so that its last cut is the one nearest the tip
        first = 26.0 - keyway.first_cut_mm - keyway.spacing_mm * (keyway.cuts - 1)
    along = (
        first
        + rng.normal(0, 0.05)
        + keyway.spacing_mm * np.arange(len(codes))
        + rng.normal(0, 0.03, len(codes))
    )
    depths = np.array([keyway.depths_mm[code] for code in codes]) + rng.normal(
        0, span(rng, 0, 0.04), len(codes)
    )
    if spare:
        along, depths = np.append(along, along[-1] + keyway.spacing_mm), np.append(depths, height)
    return along, np.minimum(depths, height), codes


def _length(rng: np.random.Generator, keyway: Keyway, centres: Array) -> float:
    if keyway.blade_length_mm:
        return float(keyway.blade_length_mm + span(rng, -0.8, 0.8))
    last = (
        float(centres[-1])
        if len(centres)
        else keyway.first_cut_mm + keyway.spacing_mm * (keyway.cuts - 1)
    )
    return last + span(rng, 3.8, 5.5)


def _worn(rng: np.random.Generator, upper: Array) -> Array:
    """Rounds the profile's corners as wear and cheap cutters do; material is only ever taken away."""
    sigma = span(rng, 0, 0.22)
    if sigma <= 0.03:
        return upper
    reach = 20
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * STEP_MM / sigma) ** 2)
    smooth = np.convolve(np.pad(upper, reach, mode="edge"), kernel / kernel.sum(), "valid")
    return np.minimum(upper, smooth)


def draw_key(
    rng: np.random.Generator,
    blade: BladePlan,
    px_per_mm: float,
    extent: tuple[float, float, float, float],
) -> KeyShape:
    """Draws blade, shoulder and bow into a mask over `extent` (u0, u1, v0, v1) mm."""
    u0, u1, v0, v1 = extent
    origin = np.array([u0, v0])
    mask = np.zeros((int((v1 - v0) * px_per_mm), int((u1 - u0) * px_per_mm)), np.uint8)
    _draw_blade(rng, mask, blade, px_per_mm, origin)
    neck = span(rng, 1.5, 9)
    _draw_shoulder(rng, mask, blade, px_per_mm, origin)
    bow = _draw_bow(rng, mask, blade.height, neck, px_per_mm, origin)
    soft: Array = mask.astype(np.float32) / 255
    if chance(rng, 0.8):  # corners of a stamped blank are never sharp
        soft = cv2.GaussianBlur(soft, (0, 0), max(0.3, span(rng, 0, 0.10) * px_per_mm))
        soft = np.clip((soft - 0.5) * min(2.0, 0.35 * px_per_mm) + 0.5, 0, 1)
    return KeyShape(blade, soft, px_per_mm, origin, bow)


def _draw_blade(
    rng: np.random.Generator, mask: Array, blade: BladePlan, px_per_mm: float, origin: Array
) -> None:
    under = np.stack([blade.u, blade.lower], 1)
    over = np.stack([blade.u, blade.upper], 1)[::-1]
    root = [[0, blade.upper[0]], [-3, blade.height * span(rng, 0.9, 1.0)]]
    fill_polygon(mask, np.concatenate([[[-3, 0]], under, over, root]), px_per_mm, origin)


def _draw_shoulder(
    rng: np.random.Generator, mask: Array, blade: BladePlan, px_per_mm: float, origin: Array
) -> None:
    """The stop above the cuts, often one below the uncut edge, and the neck behind them; without a stop the neck alone."""
    height = blade.height
    up, down = span(rng, 0.8, 4.5), span(rng, 0, 4.5) * chance(rng, 0.75)
    if not blade.stop:
        up = down = 0.0
    wide, back = span(rng, 1.5, 6), -14.0
    points = [
        [0, 0],
        [0, height],
        [span(rng, -0.3, 0.1), height + up],
        [-wide, height + up + span(rng, -0.8, 0.8)],
    ]
    points += [
        [-wide - 1, height + span(rng, -0.8, 0.8)],
        [back, height + span(rng, -1, 1)],
        [back, span(rng, -1, 1)],
    ]
    points += [[-wide - 1, span(rng, -0.8, 0.8)], [-wide * span(rng, 0.7, 1.2), -down], [0, -down]]
    fill_polygon(mask, points, px_per_mm, origin)


def _draw_bow(
    rng: np.random.Generator,
    mask: Array,
    height: float,
    neck: float,
    px_per_mm: float,
    origin: Array,
) -> tuple[float, float, float, float]:
    long, wide = span(rng, 9, 14), span(rng, 9, 14.5)
    centre = -neck - long * span(rng, 0.75, 1.0)
    middle = height / 2 + span(rng, -1, 1)
    points = np.minimum(_bow_outline(rng, centre, middle, long, wide, height), [-neck * 0.6, 99])
    fill_polygon(mask, points, px_per_mm, origin)
    _punch_holes(rng, mask, centre, middle, long, wide, px_per_mm, origin)
    return centre, middle, long, wide


def _bow_outline(
    rng: np.random.Generator, centre: float, middle: float, long: float, wide: float, height: float
) -> Array:
    angle = np.linspace(0, 2 * math.pi, 90)
    match int(rng.integers(0, 6)):
        case 0:
            return superellipse((centre, middle), (long, wide))
        case 1:
            return superellipse((centre, middle), (long, wide), span(rng, 2.2, 7))
        case 2:  # stepped towards the blade, with a narrower loop behind
            steps = int(rng.integers(3, 6))
            us, widths = (
                np.linspace(centre + long, centre, steps),
                np.linspace(height * 0.7, wide, steps),
            )
            side = [
                point
                for i in range(steps)
                for point in ([us[i], widths[i]], [us[min(i + 1, steps - 1)], widths[i]])
            ]
            side += [
                [centre - long * 0.3, wide],
                [centre - long * 0.4, wide * 0.6],
                [centre - long, wide * 0.5],
            ]
            half = np.array(side)
            both = np.concatenate([half, half[::-1] * [1, -1]])
            return both + np.array([0, middle])
        case 3:
            corners = np.arange(int(rng.integers(5, 9)))
            turn = corners * 2 * math.pi / len(corners) + span(rng, 0, 1)
            return np.stack([centre + long * np.cos(turn), middle + wide * np.sin(turn)], 1)
        case 4:
            lobes = 1 + span(rng, 0.05, 0.2) * np.cos(
                int(rng.integers(2, 5)) * angle + span(rng, 0, 6)
            )
            return np.stack(
                [centre + long * lobes * np.cos(angle), middle + wide * lobes * np.sin(angle)], 1
            )
        case _:
            head = superellipse((centre, middle), (long, wide), span(rng, 3, 6))[18:54]
            taper = [[0.7, -0.8 * wide], [1, -height * 0.5], [1, height * 0.5], [0.7, 0.8 * wide]]
            return np.concatenate([head, [[centre + long * a, middle + b] for a, b in taper]])


def _punch_holes(
    rng: np.random.Generator,
    mask: Array,
    centre: float,
    middle: float,
    long: float,
    wide: float,
    px_per_mm: float,
    origin: Array,
) -> None:
    if chance(rng, 0.25):  # three wedge-shaped windows round the middle
        turn = span(rng, 0, 2 * math.pi)
        for third in range(3):
            around = turn + third * 2 * math.pi / 3 + np.linspace(-0.8, 0.8, 12)
            ring = [
                [centre + long * r * math.cos(a), middle + wide * r * math.sin(a)]
                for r, row in ((0.68, around), (0.2, around[::-1]))
                for a in row
            ]
            fill_polygon(mask, ring, px_per_mm, origin, 0)
        return
    radius = span(rng, 1.5, 4.5)
    at = (centre - long * span(rng, 0.1, 0.6), middle + span(rng, -0.5, 0.5))
    power = 2.0 if chance(rng, 0.6) else span(rng, 2.5, 8)
    fill_polygon(
        mask,
        superellipse(at, (radius, min(radius * span(rng, 0.8, 2.2), wide * 0.7)), power),
        px_per_mm,
        origin,
        0,
    )
