"""Draws the outline of a key: the blade with its cuts, tip, shoulder and bow.

Coordinates are in mm. u is 0 at the shoulder (the stop against the lock) and increases to the tip.
v is 0 at the uncut edge and increases towards the cuts. The bow is the handle. A flat is the flat
bottom of a cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from keylike.keys.keyways import Keyway, keyway
from tools.training.draw import Array, chance, fill_polygon, span, superellipse

STEP_MM = 0.05  # distance between two samples of an edge
MOST_CUTS = 6
# Areas that are drawn, as (u0, u1, v0, v1) in mm: around the whole key, and around the blade.
FULL_EXTENT = (-38.0, 36.0, -14.0, 23.0)
BLADE_EXTENT = (-13.0, 36.0, -5.0, 14.0)
BLANK = "blank"  # kind of a key without cuts
OTHER = "other"  # kind of a foreign key: one of a family that the reader does not support
DOUBLE = "double-sided"  # family of a foreign key that is cut on both edges
BIT = "bit"  # family of a key for lever locks
FIVE_OF_SIX = 0.15  # fraction of the keys on six-pin blanks that have only five cuts
TWO_SIDED = 0.15  # fraction of the foreign keys that are cut on both edges
# Smallest and largest width of a flat in mm, by family. The smallest is the maker's width; wide or
# worn cutting wheels of key duplicating machines make larger ones.
FLATS_MM = {"SC1": (0.7, 2.0), "SC4": (0.7, 2.0), "KW1": (1.1, 2.4)}
FACTORY_FLATS = 0.35  # fraction of these keys whose flats have the maker's width, +/- 15 %
# Smallest and largest measures of random foreign keys in mm. The measures of real families are
# inside these ranges.
FOREIGN = {
    "first": (3.5, 7.0),
    "spacing": (3.4, 4.4),
    "height": (7.0, 9.5),
    "step": (0.3, 0.75),
    "flat": (0.4, 2.0),
    "length": (20.0, 35.0),
}
# Values of `BladePlan.stop`.
NIB, SHOULDER, NO_STOP = "nib", "shoulder", "none"


@dataclass(frozen=True, slots=True)
class BladePlan:
    """The measures of one blade in mm.

    Attributes:
        keyway: Name of the keyway, or OTHER.
        family: Name of the family, DOUBLE for two cut edges, or BIT for a key of a lever lock.
        stop: The part that stops the key in the lock: SHOULDER, NIB (a small tooth, common in
            Europe) or NO_STOP (the tip stops the key).
        codes: The maker's depth numbers from bow to tip. Empty for blanks.
        centres: u of the centre of each cut.
        depths: Blade height left under each cut.
        height: Height of the blade.
        length: Length of the blade.
        tip_v: v of the tip.
        u: Positions of the samples of both edges, STEP_MM apart.
        upper: v of the upper edge, which has the cuts, at each position.
        lower: v of the lower edge at each position.
        row: u of the first cut, and spacing of the cuts. (0, 0) for blanks and for keys that are
            measured from the tip.
    """

    keyway: str
    family: str
    stop: str
    codes: tuple[int, ...]
    centres: Array
    depths: Array
    height: float
    length: float
    tip_v: float
    u: Array
    upper: Array
    lower: Array
    row: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Cutter:
    """How a blade is cut. Attributes that are None are chosen at random.

    Attributes:
        flat_mm: Width of the flats in mm.
        flat_times: Width of the flats as a multiple of the maker's width.
        angle_deg: Angle in degrees between the two flanks of a cut.
    """

    flat_mm: float | None = None
    flat_times: float | None = None
    angle_deg: float | None = None


ANY_CUTTER = Cutter()


@dataclass(frozen=True, slots=True)
class KeyShape:
    """A drawn outline.

    Attributes:
        blade: Measures of the blade.
        mask: 1 inside the key, 0 outside, between them at the edge. float32, (rows, columns).
        px_per_mm: Scale.
        origin: Position (u, v) of the first pixel in mm.
        bow: u and v of the bow's centre, half its length and half its width, in mm.
        head: Mask of the part under a plastic head, like `mask`. None without a plastic head.
    """

    blade: BladePlan
    mask: Array
    px_per_mm: float
    origin: Array
    bow: tuple[float, float, float, float]
    head: Array | None = None


def random_codes(rng: np.random.Generator, keyway: Keyway, cuts: int) -> tuple[int, ...]:
    """Return a random code. All codes that keep the keyway's MACS are equally probable."""
    numbers = list(keyway.depths_mm)
    while True:
        ranks = rng.integers(0, len(numbers), cuts)
        if keyway.macs is None or cuts < 2 or int(np.abs(np.diff(ranks)).max()) <= keyway.macs:
            return tuple(numbers[int(rank)] for rank in ranks)


def foreign_keyway(rng: np.random.Generator) -> Keyway:
    """Return an invented family with random measures from FOREIGN.

    Measures that are close to those of a supported family are not used.
    """
    while True:
        first, spacing, height, step, flat = (
            span(rng, *FOREIGN[name]) for name in ("first", "spacing", "height", "step", "flat")
        )
        cuts = int(rng.integers(4, 8))
        last = first + spacing * (cuts - 1)
        length = last + span(rng, 2.5, 5.5)
        if FOREIGN["length"][0] <= length <= FOREIGN["length"][1] and not _readable_proportions(
            first, spacing, height
        ):
            return foreign(
                first, spacing, height, step, flat, cuts, length, angle=span(rng, 80, 110)
            )


def foreign(
    first: float,
    spacing: float,
    height: float,
    step: float,
    flat: float,
    cuts: int,
    length: float,
    angle: float = 90,
) -> Keyway:
    """Return an invented family with these measures.

    Args:
        first: u of the first cut in mm.
        spacing: Distance between two cuts in mm.
        height: Height of the blade in mm.
        step: Difference between two depths in mm.
        flat: Width of the flats in mm.
        cuts: Number of cuts.
        length: Length of the blade in mm.
        angle: Angle between the flanks of a cut in degrees.
    """
    deepest = max(0.42 * height, 3.2)
    count = int(np.clip((height - 0.15 - deepest) / step, 3, 9))
    depths = {number: height - 0.15 - step * number for number in range(count + 1)}
    return replace(
        keyway("WR5"), name="drawn", cut_counts=(cuts,), gauge="shoulder", first_cut_mm=first, spacing_mm=spacing, increment_mm=step,
        depths_mm=depths, in_lock_depths=tuple(depths), macs=max(2, int(3.2 / step)), cut_angle_deg=angle, cut_flat_mm=flat,
        blade_height_mm=height, blade_length_mm=length,
    )  # fmt: skip


def _readable_proportions(first: float, spacing: float, height: float) -> bool:
    """Return True if these measures in mm cannot be distinguished from a supported family's."""
    for name in FLATS_MM:
        way = keyway(name)
        scale = spacing / way.spacing_mm
        near = abs(first / scale - way.first_cut_mm) < 0.25
        if (
            near
            and abs(height / scale / (way.blade_height_mm or height) - 1) < 0.025
            and abs(scale - 1) < 0.02
        ):
            return True
    return False


def plan_blade(
    rng: np.random.Generator, keyway: Keyway, kind: str, cutter: Cutter = ANY_CUTTER
) -> BladePlan:
    """Return a blade of this keyway with a random code, or without cuts if `kind` is BLANK.

    The measures vary as they do between blanks of different makers.
    """
    height = (keyway.blade_height_mm or max(keyway.depths_mm.values()) + 0.2) * span(
        rng, 0.985, 1.015
    )
    centres, depths, codes = _cuts(rng, keyway, height, kind)
    length = _length(rng, keyway, centres)
    u = np.arange(0, length, STEP_MM)
    flat, slope = _wheel(rng, keyway, cutter)
    upper = np.full_like(u, height)
    for centre, depth in zip(centres, depths, strict=True):
        upper = np.minimum(upper, depth + np.maximum(0, np.abs(u - centre) - flat / 2) * slope)
    upper = _worn(rng, upper, flat)
    tip_v = span(rng, 0.15, 0.65) * height
    reach = length - centres[-1] - min(flat, 1.4) / 2 - 0.15 if len(centres) else 3.0
    needed = (depths[-1] + 0.3 - tip_v) / max(0.5, reach) if len(depths) else 0.0
    # Slope of the edge near the tip. If it were flatter than `needed`, it would cut away the last
    # cut, and the label of that cut would be wrong.
    ramp_up = max(span(rng, 0.7, 2.2), needed)
    upper = np.minimum(upper, np.maximum(tip_v + (length - u) * ramp_up, tip_v))
    # A separate generator, so that the random numbers from `rng` stay the same for a seed.
    aside = rng.spawn(1)[0]
    back, family = _uncut_edge(aside, u, length), keyway.name
    if kind == OTHER and chance(aside, TWO_SIDED):
        back, family = _other_side(aside, u, height, upper), DOUBLE
    lower = np.minimum(np.maximum(back, tip_v - (length - u) * span(rng, 0.5, 2.2)), upper)
    name = keyway.name if kind != OTHER else OTHER
    row = (
        (keyway.first_cut_mm, keyway.spacing_mm)
        if len(centres) and keyway.gauge != "tip"
        else (0.0, 0.0)
    )
    stop = _stop(aside, keyway, kind)
    return BladePlan(
        name, family, stop, codes, centres, depths, height, length, tip_v, u, upper, lower, row
    )


def _wheel(rng: np.random.Generator, keyway: Keyway, cutter: Cutter) -> tuple[float, float]:
    """Return the width in mm of the cutting wheel's flat, and the slope of the flanks it cuts."""
    maker = keyway.cut_flat_mm or 1.2
    flat = maker * span(rng, 0.85, 1.15)
    if keyway.name in FLATS_MM and not chance(rng, FACTORY_FLATS):
        flat = span(rng, *FLATS_MM[keyway.name])
    if cutter.flat_times is not None:
        flat = maker * cutter.flat_times
    angle = (
        span(rng, 80, 110) if chance(rng, 0.5) else (keyway.cut_angle_deg or 90) + span(rng, -6, 6)
    )
    flat = flat if cutter.flat_mm is None else cutter.flat_mm
    angle = angle if cutter.angle_deg is None else cutter.angle_deg
    return flat, 1 / math.tan(math.radians(angle / 2))


def _stop(rng: np.random.Generator, keyway: Keyway, kind: str) -> str:
    if keyway.gauge == "tip":
        return NO_STOP
    return (
        NIB if kind in (OTHER, BLANK) and chance(rng, 0.45 if kind == OTHER else 0.3) else SHOULDER
    )


def plan_bit(rng: np.random.Generator) -> BladePlan:
    """Return a key of a lever lock: a thin shaft with a notched plate (the bit) near its end.

    It is as large as a blade, because the label frame has the size of a blade.
    """
    height, length = span(rng, 7.5, 9.5), span(rng, 25, 33)
    shaft, wide, behind = span(rng, 0.25, 0.45) * height, span(rng, 4, 9), span(rng, 0, 3)
    u = np.arange(0, length, STEP_MM)
    begins = length - behind - wide
    upper = np.where((u > begins) & (u < begins + wide), height, shaft)
    for _ in range(int(rng.integers(0, 4))):
        notch, at = span(rng, 0.4, 1.2), span(rng, begins, begins + wide)
        upper = np.where(
            np.abs(u - at) < notch, np.minimum(upper, height * span(rng, 0.55, 0.85)), upper
        )
    none = np.zeros(0)
    return BladePlan(
        OTHER, BIT, NO_STOP, (), none, none, height, length, shaft / 2, u, upper, np.zeros_like(u)
    )


def _other_side(rng: np.random.Generator, u: Array, height: float, upper: Array) -> Array:
    """Return v of a lower edge with cuts, as on keys of cars, cabinets and padlocks."""
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
    """Return v of the uncut edge. On many keys it is not straight and rises at the shoulder."""
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
    # Some keys for five-pin locks are cut on a six-pin blank, whose sixth position stays uncut.
    spare = kind != OTHER and keyway.cuts == MOST_CUTS and chance(rng.spawn(1)[0], FIVE_OF_SIX)
    codes = random_codes(rng, keyway, keyway.cuts - spare)
    first = keyway.first_cut_mm
    if keyway.gauge == "tip":  # then `first_cut_mm` is the distance from the tip to the last cut
        first = 26.0 - keyway.first_cut_mm - keyway.spacing_mm * (keyway.cuts - 1)
    along = (
        first
        + rng.normal(0, 0.05)
        + keyway.spacing_mm * np.arange(len(codes))
        + rng.normal(0, 0.03, len(codes))
    )
    depths = np.array([keyway.depths_mm[code] for code in codes]) + rng.normal(
        0, span(rng, 0, 0.05), len(codes)
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


def _worn(rng: np.random.Generator, upper: Array, flat: float) -> Array:
    """Round the peaks as wear does, fill the corners of some cuts, and add small burrs.

    A worn cutting wheel has round corners, so it leaves material in the corners of a cut.
    """
    sigma = span(rng, 0, 0.22) if chance(rng, 0.7) else span(rng, 0.2, 0.5)
    rounded = upper
    if sigma > 0.03:
        rounded = np.minimum(upper, _smoothed(upper, sigma))
    # A worn wheel: the corners between flat and flanks fill up, the middle of the flat stays.
    if chance(rng, 0.3):
        rounded = np.maximum(
            rounded,
            np.where(
                rounded < upper - 1e-6, rounded, _smoothed(upper, span(rng, 0.08, 0.28) * flat)
            ),
        )
    if chance(rng, 0.25):  # marks of the wheel and burrs at the edge
        rounded = rounded + cv2.GaussianBlur(
            rng.normal(0, 1, (1, len(upper))), (0, 0), span(rng, 1, 4)
        )[0] * span(rng, 0.01, 0.06)
    return rounded


def _smoothed(upper: Array, sigma: float) -> Array:
    reach = 30
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * STEP_MM / sigma) ** 2)
    return np.convolve(np.pad(upper, reach, mode="edge"), kernel / kernel.sum(), "valid")


def draw_key(
    rng: np.random.Generator,
    blade: BladePlan,
    px_per_mm: float,
    extent: tuple[float, float, float, float],
    headed: bool = False,
) -> KeyShape:
    """Draw blade, shoulder and bow.

    Args:
        rng: Random source.
        blade: Measures of the blade.
        px_per_mm: Scale of the mask.
        extent: Area of the mask, (u0, u1, v0, v1) in mm.
        headed: True to cover the bow with a plastic head.
    """
    u0, u1, v0, v1 = extent
    origin = np.array([u0, v0])
    mask = np.zeros((int((v1 - v0) * px_per_mm), int((u1 - u0) * px_per_mm)), np.uint8)
    _draw_blade(rng, mask, blade, px_per_mm, origin)
    neck = span(rng, 1.5, 9)
    _draw_shoulder(rng, mask, blade, px_per_mm, origin)
    head = _draw_head(rng, mask, blade.height, px_per_mm, origin) if headed else None
    bow = _draw_bow(rng, mask, blade.height, neck, px_per_mm, origin)
    if head is not None:
        mask = np.maximum(mask, head)
        _punch_holes(rng, mask, *bow, px_per_mm, origin)
        head = np.minimum(head, mask)
    soft: Array = mask.astype(np.float32) / 255
    if chance(rng, 0.8):  # corners of a stamped blank are never sharp
        soft = cv2.GaussianBlur(soft, (0, 0), max(0.3, span(rng, 0, 0.10) * px_per_mm))
        soft = np.clip((soft - 0.5) * min(2.0, 0.35 * px_per_mm) + 0.5, 0, 1)
    return KeyShape(
        blade, soft, px_per_mm, origin, bow, None if head is None else head.astype(np.float32) / 255
    )


def _draw_blade(
    rng: np.random.Generator, mask: Array, blade: BladePlan, px_per_mm: float, origin: Array
) -> None:
    under = np.stack([blade.u, blade.lower], 1)
    over = np.stack([blade.u, blade.upper], 1)[::-1]
    root = [[0, blade.upper[0]], [-3, _root_height(blade) * span(rng, 0.9, 1.0)]]
    fill_polygon(mask, np.concatenate([[[-3, 0]], under, over, root]), px_per_mm, origin)


def _root_height(blade: BladePlan) -> float:
    """Return the height in mm of the neck between bow and blade."""
    return float(blade.upper[0]) if blade.family == BIT else blade.height


def _draw_shoulder(
    rng: np.random.Generator, mask: Array, blade: BladePlan, px_per_mm: float, origin: Array
) -> None:
    """Draw the shoulder above the blade, often also below it, and the neck behind it."""
    height = _root_height(blade)
    if blade.stop == NIB:
        _draw_nibs(rng, mask, height, px_per_mm, origin)
        return
    up, down = span(rng, 0.8, 4.5), span(rng, 0, 4.5) * chance(rng, 0.75)
    if blade.stop == NO_STOP:
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


def _draw_head(
    rng: np.random.Generator, mask: Array, height: float, px_per_mm: float, origin: Array
) -> Array:
    """Return the mask of a plastic head: a rounded box or an oval behind the shoulder."""
    head = np.zeros_like(mask)
    begins, long, wide = span(rng, -6.0, -1.5), span(rng, 11, 15), span(rng, 9, 15)
    outline = superellipse(
        (begins - long, height / 2 + span(rng, -1, 1)), (long, wide), span(rng, 2, 7)
    )
    if chance(rng, 0.5):  # a collar that narrows towards the blade
        collar = [
            [begins + span(rng, 0, 1.2), -0.8],
            [begins + 0.3, height + 0.8],
            [begins - 6, height + 4],
            [begins - 6, -4],
        ]
        fill_polygon(head, collar, px_per_mm, origin)
    fill_polygon(head, outline, px_per_mm, origin)
    return head


def _draw_nibs(
    rng: np.random.Generator, mask: Array, height: float, px_per_mm: float, origin: Array
) -> None:
    """Draw a neck as high as the blade, and a small tooth on one or both of its edges."""
    neck = [
        [0.2, 0],
        [0.2, height],
        [-14, height + span(rng, -0.3, 0.8)],
        [-14, span(rng, -0.8, 0.3)],
    ]
    fill_polygon(mask, neck, px_per_mm, origin)
    sides = (True, chance(rng, 0.35)) if chance(rng, 0.7) else (False, True)
    for over, drawn in zip((True, False), sides, strict=True):
        if drawn:
            wide, tall, slant = span(rng, 0.8, 2.4), span(rng, 0.7, 2.2), span(rng, 0, 1.0)
            tooth = np.array([[0, -0.3], [0, tall], [-wide * 0.7, tall], [-wide - slant, -0.3]])
            fill_polygon(
                mask, [[a, height + b] if over else [a, -b] for a, b in tooth], px_per_mm, origin
            )


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
