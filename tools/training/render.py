"""Renders photos of keys with known codes.

`python -m tools.training.render OUT --count 200` writes 200 photos and their labels into OUT.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from keylike.keys.keyways import Keyway, keyways
from keylike.readers.caliper.frames import SLOT, project
from tools.training.backgrounds import crop, finger, scatter, surface
from tools.training.camera import Pose, cast_shadow, lay, pose
from tools.training.draw import Array, chance, span
from tools.training.lens import expose
from tools.training.light import shade, tarnish
from tools.training.looks import (
    PLAIN,
    Look,
    cast_light,
    distorted,
    draw_ring,
    draw_tag,
    even_ground,
    painted,
    random_look,
    worked_over,
)
from tools.training.relief import Relief, carve, carve_dimples, carve_track
from tools.training.shapes import (
    ANY_CUTTER,
    BLADE_EXTENT,
    BLANK,
    FULL_EXTENT,
    OTHER,
    BladePlan,
    Cutter,
    KeyShape,
    draw_key,
    foreign_keyway,
    plan_bit,
    plan_blade,
)

NONE = "none"  # kind of a photo without a key
SEVERAL = "several"  # keyway of a photo with two or more whole keys
# Keys of foreign families have labels in a frame that is scaled to this blade height.
NOMINAL_HEIGHT_MM = 8.6
# Lowest and highest tilt in degrees, by tier (difficulty).
TILT_DEG = {"easy": (0.0, 9.0), "normal": (0.0, 20.0), "hard": (5.0, 36.0)}
TIERS = ("easy", "normal", "hard")
# Families that the reader supports. All others are foreign.
READABLE = ("SC1", "SC4", "KW1")
# Rectangles (u, v) in mm around the whole key, and around the blade with a margin. One of them is
# moved into the picture.
_WHOLE = np.array([[-30.0, -8], [29, -1.5], [29, 10], [-30, 17]])
_BLADE = np.array([[-3.0, -1], [31, -1], [31, 10], [-3, 10]])


@dataclass(frozen=True, slots=True)
class Sample:
    """One rendered photo.

    Attributes:
        picture: RGB uint8, (height, width, 3).
        kind: SC1, SC4, KW1, "other", "blank" or "none".
        blade: Codes and profile of the blade. None without a key.
        to_pixels: Homography from (u, v, 1) in mm on the key's face to pixels, (3, 3).
        tier: Difficulty: easy, normal or hard.
        tilt_deg: Tilt of the key's plane in degrees.
        px_per_mm: Scale.
        thickness: Thickness of the key in mm.
        others: Shoulder and tip of each further blade in pixels, (2, 2).
        several: True if the picture shows more than one whole key. Then it has no code.
    """

    picture: Array
    kind: str
    blade: BladePlan | None
    to_pixels: Array
    tier: str
    tilt_deg: float
    px_per_mm: float
    thickness: float
    others: tuple[Array, ...] = ()
    several: bool = False


@dataclass(frozen=True, slots=True)
class _Key:
    shape: KeyShape
    relief: Relief
    kind: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Request for one photo. Attributes that are None are chosen at random.

    Attributes:
        kind: Kind of key.
        tier: Difficulty.
        family: Measures of the foreign family, for `kind` "other".
        cutter: How the blade is cut.
        look: Appearance of the photo.
        several: Number of further whole keys.
        tilt_deg: Tilt in degrees.
        px_per_mm: Scale.
    """

    kind: str | None = None
    tier: str | None = None
    family: Keyway | None = None
    cutter: Cutter = ANY_CUTTER
    look: Look | None = None
    several: int = 0
    tilt_deg: float | None = None
    px_per_mm: float | None = None


ANYTHING = Wanted()
# Foreign keys: the fraction MADE_UP has random measures, and the fraction LOOK_ALIKE is of the
# families in LOOK_ALIKES, which look like supported ones. The others are of any family in the
# table of keyways.
MADE_UP, LOOK_ALIKES = 0.55, ("WR5", "WR5", "AR1", "Y1", "LW4")
LOOK_ALIKE = 0.2
# Standard deviation of the distance between a blade and the optical axis, in focal lengths.
OFF_AXIS = 0.12


class Scene:
    """A source of random photos with a fixed seed.

    The backgrounds are drawn once. Everything else is drawn anew for each photo.

    Args:
        seed: Random seed.
        grounds: Number of backgrounds.
        plain: True for backgrounds without patterns.
    """

    def __init__(self, seed: int, grounds: int = 80, plain: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        self.grounds = [surface(self.rng, plain) for _ in range(grounds)]
        self.known = {name: one for name, one in keyways().items() if name in READABLE}
        self.others = [one for name, one in keyways().items() if name not in READABLE]
        self._lying: list[tuple[KeyShape, Array, Array]] = []
        self._others: list[Array] = []

    def blade_crop(
        self, kind: str | None = None, tier: str | None = None, wanted: Wanted = ANYTHING
    ) -> Sample:
        """Return the part of a photo around one blade, at most 720 pixels wide and high.

        It has the scale of the photo.
        """
        rng = self.rng
        tier, kind = tier or self._tier(), kind or self._kind(0.06)
        look = wanted.look or random_look(rng)
        px_per_mm = wanted.px_per_mm or math.exp(
            span(rng, math.log(4.5), math.log(12 if chance(rng, 0.5) else 24))
        )
        key = self._key(kind, float(np.clip(px_per_mm * 1.05, 9, 15)), BLADE_EXTENT, wanted, look)
        tilt = span(rng, *TILT_DEG[tier]) if look.ground != "scan" else 0.0
        off_axis = (
            (0.0, 0.0)
            if chance(rng, 0.5)
            else tuple(np.clip(rng.normal(0, OFF_AXIS, 2), -0.35, 0.35))
        )
        focal = span(rng, 0.9, 3) * 1100 if look.ground != "scan" else 40000.0
        at = pose(rng, px_per_mm, focal, tilt, (12, 4.5), (float(off_axis[0]), float(off_axis[1])))
        box = project(at.to_pixels(), np.array([[-5.0, -3], [31, -3], [31, 12], [-5, 12]]))
        low, high = np.floor(box.min(0)) - 4, np.ceil(box.max(0)) + 4
        width, height = (int(side) for side in np.minimum(high - low, 720))
        return self._photo([key], at.moved(-low[0], -low[1]), tier, width, height, look)

    def whole(
        self,
        width: int,
        height: int,
        kind: str | None = None,
        tier: str | None = None,
        none_share: float = 0.1,
        wanted: Wanted = ANYTHING,
    ) -> Sample:
        """Return a whole photo.

        If the blade fits into the picture, all of it is shown. The bow may be outside.

        Args:
            width: Width in pixels.
            height: Height in pixels.
            kind: Kind of key; None for the one in `wanted`, or a random one.
            tier: Difficulty; None for the one in `wanted`, or a random one.
            none_share: Probability of a photo without a key, if the kind is random.
            wanted: Further requests.
        """
        rng = self.rng
        tier, kind = (
            tier or wanted.tier or self._tier(),
            kind or wanted.kind or self._kind(0.0 if wanted.several else none_share),
        )
        look = random_look(rng) if wanted.look is None else wanted.look
        side = min(width, height)
        px_per_mm = wanted.px_per_mm or self._scale(tier, look, wanted) * side / 58
        drawn = float(np.clip(px_per_mm * 1.15, 6, 16))
        keys = [self._key(kind, drawn, FULL_EXTENT, wanted, look)]
        keys += [
            self._key(self._kind(0.0), drawn, FULL_EXTENT, ANYTHING, look)
            for _ in range(wanted.several)
        ]
        tilt = span(rng, *TILT_DEG[tier]) if wanted.tilt_deg is None else wanted.tilt_deg
        focal = span(rng, 0.9, 3) * side
        if look.ground == "scan":
            tilt, focal = 0.0, 40.0 * side
        at = pose(rng, px_per_mm, focal, tilt, (-4.0, 4.4))
        at = self._framed(at, width, height, tier)
        # In half of the photos, the optical axis goes through the middle of the picture, as in a
        # photo that was not cropped. A key near the edge then shows its side wall.
        if chance(rng, 0.5):
            x, y = project(at.to_pixels(), np.array([at.aim]))[0]
            off_axis = ((x - width / 2) / focal, (y - height / 2) / focal)
            at = replace(
                at,
                off_axis=off_axis,
                camera=np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]]),
            )
        at = self._inside(at, width, height)
        return self._photo(keys, at, tier, width, height, look)

    def _inside(self, at: Pose, width: int, height: int) -> Pose:
        """Move the picture as little as needed to show the blade, with a margin if it fits."""
        size = np.array([width, height])
        for corners in (_BLADE, SLOT):
            ends = project(at.to_pixels(), corners)
            low, high = ends.min(0), ends.max(0)
            fits = high - low < size
            if fits.all():
                break
        moved = np.maximum(0, -low) - np.maximum(0, high - size)
        shift = np.where(fits, moved, (size - high - low) / 2)
        return at.moved(float(shift[0]), float(shift[1]))

    def _scale(self, tier: str, look: Look, wanted: Wanted) -> float:
        """Return the length of the key as a multiple of the picture's shorter side."""
        if wanted.several:
            return span(self.rng, 0.36, 0.8)
        if look.close:
            return span(self.rng, 1.5, 2.1)
        return span(self.rng, 0.36, 1.0 if tier == "easy" else 1.75)

    def _framed(self, at: Pose, width: int, height: int, tier: str) -> Pose:
        """Move the picture to a random position that shows the whole key, or only the blade.

        Only the blade is shown if the key does not fit, and in some photos that are not easy.
        """
        rng = self.rng
        whole, blade = (project(at.to_pixels(), corners) for corners in (_WHOLE, _BLADE))
        fits_in = bool((np.ptp(whole, 0) < (width, height)).all())
        corners = blade if not fits_in or (tier != "easy" and chance(rng, 0.35)) else whole
        shift = []
        for axis, size in enumerate((width, height)):
            low, high = float(corners[:, axis].min()), float(corners[:, axis].max())
            fits = high - low < size
            shift.append(span(rng, -low, size - high) if fits else (size - high - low) / 2)
        return at.moved(shift[0], shift[1])

    def _tier(self) -> str:
        return TIERS[int(self.rng.choice(3, p=(0.3, 0.35, 0.35)))]

    def _kind(self, none_share: float) -> str:
        shares = np.array([0.26, 0.14, 0.22, 0.31, 0.07])
        kinds = ("SC1", "SC4", "KW1", OTHER, BLANK)
        return NONE if chance(self.rng, none_share) else kinds[int(self.rng.choice(5, p=shares))]

    def _key(
        self,
        kind: str,
        px_per_mm: float,
        extent: tuple[float, float, float, float],
        wanted: Wanted = ANYTHING,
        look: Look = PLAIN,
    ) -> _Key | None:
        if kind == NONE:
            return None
        rng = self.rng
        odd = kind == OTHER and wanted.family is None and chance(rng, 0.25)
        keyway = wanted.family or self._keyway(kind)
        blade = plan_blade(rng, keyway, BLANK if odd or kind == BLANK else kind, wanted.cutter)
        bit = odd and chance(rng, 0.2)
        if bit:
            blade = plan_bit(rng)
        shape = draw_key(rng, blade, px_per_mm, extent, look.head)
        relief = carve(rng, shape)
        if odd and not bit:
            dimples = chance(rng, 0.5)
            (carve_dimples if dimples else carve_track)(rng, relief, shape)
            shape = replace(shape, blade=replace(blade, family="dimple" if dimples else "track"))
        return _Key(shape, relief, kind)

    def _keyway(self, kind: str) -> Keyway:
        rng = self.rng
        if kind == OTHER:
            if chance(rng, MADE_UP):
                return foreign_keyway(rng)
            if chance(rng, LOOK_ALIKE / (1 - MADE_UP)):
                return keyways()[LOOK_ALIKES[int(rng.integers(len(LOOK_ALIKES)))]]
            return self.others[int(rng.integers(len(self.others)))]
        names = list(self.known)
        return self.known[kind if kind in self.known else names[int(rng.integers(len(names)))]]

    def _photo(
        self, keys: Sequence[_Key | None], at: Pose, tier: str, width: int, height: int, look: Look
    ) -> Sample:
        rng, hard, key = self.rng, tier == "hard", keys[0]
        self._others = []
        picture = (
            even_ground(rng, look, height, width)
            if look.ground
            else crop(rng, self.grounds, height, width)
        )
        if look.portrait:
            picture = cv2.GaussianBlur(picture, (0, 0), span(rng, 0.4, 1.5) * at.px_per_mm)
        if not look.ground or key is None or chance(rng, 0.15):
            self._clutter(picture, at, hard, crowded=key is None)
        thickness = span(rng, 1.7, 2.4)
        poses = [at, *self._beside(at, len(keys) - 1, width, height)]
        self._others += [_blade_ends(one) for one in poses[1:]]
        for one, where in reversed(list(zip(keys, poses, strict=False))):
            if one is not None:
                self._lay(picture, one, where, thickness, look)
        if key is not None and tier != "easy" and chance(rng, 0.35 if hard else 0.2):
            self._hold(picture, at)
        photo = worked_over(
            rng, expose(rng, cast_light(rng, picture, look), hard, look.light == "dark"), look
        )
        to_pixels = at.to_pixels()
        if look.barrel:
            photo, to_pixels = distorted(photo, to_pixels, look.barrel)
        kind, blade = (NONE, None) if key is None else (key.kind, key.shape.blade)
        return Sample(
            photo,
            kind,
            blade,
            to_pixels,
            tier,
            at.tilt_deg,
            at.px_per_mm,
            thickness,
            tuple(self._others),
            len(poses) > 1,
        )

    def _lay(self, picture: Array, key: _Key, at: Pose, thickness: float, look: Look) -> None:
        """Draw one key with its shadow, its ring and whatever hangs on the ring."""
        rng, shape = self.rng, key.shape
        if look.ground != "scan" or chance(rng, 0.3):
            cast_shadow(rng, picture, shape, at, thickness)
        face_size = (shape.mask.shape[0], shape.mask.shape[1])
        coat = painted(rng, look.paint, *face_size, shape.px_per_mm) if look.paint else None
        face, wall = shade(rng, shape, key.relief, at.view, coat)
        if look.tarnished:
            face = tarnish(rng, face, shape.px_per_mm)
        centre, middle, long, _ = shape.bow
        hole = project(at.to_pixels(), np.array([[centre - long * 0.4, middle]]))[0]
        if look.mate and self._lying:
            self._mate(picture, hole, at)
        lay(picture, shape, face, wall, at, thickness)
        self._remember(shape, face, wall)
        if look.ring:
            tip = project(at.to_pixels(), np.array([[25.0, middle]]))[0]
            away = math.atan2(hole[1] - tip[1], hole[0] - tip[0])
            turn = draw_ring(
                rng,
                picture,
                hole,
                away + float(np.clip(rng.normal(0, 0.9), -2.0, 2.0)),
                at.px_per_mm,
            )
            if look.tag:
                draw_tag(rng, picture, hole, turn, at.px_per_mm)

    def _mate(self, picture: Array, hole: Array, at: Pose) -> None:
        """Draw a second key on the same ring. Its blade points away from the first key's blade."""
        rng = self.rng
        shape, face, wall = self._lying[int(rng.integers(len(self._lying)))]
        blade = project(at.to_pixels(), np.array([[20.0, 4.0]]))[0] - hole
        for _ in range(20):
            other = pose(
                rng, at.px_per_mm * span(rng, 0.85, 1.1), 2000.0, span(rng, 0, 15), (-20.0, 4.0)
            )
            tip = project(other.to_pixels(), np.array([[20.0, 4.0]]))[0]
            if (
                float(np.dot(tip, blade) / (np.linalg.norm(tip) * np.linalg.norm(blade) + 1e-9))
                < -0.3
            ):
                lay(picture, shape, face, wall, other.moved(*hole), 2.0)
                self._others.append(_blade_ends(other.moved(*hole)))
                return

    def _beside(self, at: Pose, count: int, width: int, height: int) -> list[Pose]:
        """Return the poses of up to `count` further whole keys.

        The keys lie apart from each other, or spread like a fan from one ring.
        """
        rng, found = self.rng, [at]
        blades = [project(at.to_pixels(), np.array([[2.0, 4.0], [14.0, 4.0], [25.0, 4.0]]))]
        fanned = chance(rng, 0.4)
        hole = project(at.to_pixels(), np.array([[-20.0, 4.0]]))[0]
        for _ in range(count):
            for _ in range(60):
                new = pose(
                    rng,
                    at.px_per_mm * span(rng, 0.8, 1.2),
                    2.0 * width,
                    span(rng, 0, 20),
                    (-20.0, 4.0) if fanned else (-4.0, 4.4),
                )
                new = (
                    new.moved(*hole)
                    if fanned
                    else new.moved(span(rng, 0.1, 0.9) * width, span(rng, 0.1, 0.9) * height)
                )
                blade = project(new.to_pixels(), np.array([[2.0, 4.0], [14.0, 4.0], [25.0, 4.0]]))
                inside = bool(((blade > 0) & (blade < (width, height))).all())
                apart = all(
                    np.linalg.norm(blade[:, None] - one[None], axis=2).min() > 9 * at.px_per_mm
                    for one in blades
                )
                if inside and apart:
                    found.append(new)
                    blades.append(blade)
                    break
        return found[1:]

    def _clutter(self, picture: Array, at: Pose, hard: bool, crowded: bool) -> None:
        rng = self.rng
        if not crowded and self._lying and chance(rng, 0.25 if hard else 0.06):
            self._second_key(picture, at.px_per_mm)
        most = 6 if crowded else 3
        if chance(rng, 0.85 if crowded else 0.45 if hard else 0.15):
            for _ in range(int(rng.integers(1, most))):
                scatter(rng, picture, at.px_per_mm)

    def _second_key(self, picture: Array, px_per_mm: float) -> None:
        """Draw another key whose blade is mostly outside the picture."""
        rng = self.rng
        shape, face, wall = self._lying[int(rng.integers(len(self._lying)))]
        height, width = picture.shape[:2]
        for _ in range(8):
            at = pose(
                rng,
                px_per_mm * span(rng, 0.8, 1.2),
                span(rng, 1, 3) * width,
                span(rng, 0, 20),
                (span(rng, -25, 0), 4.0),
            )
            at = at.moved(span(rng, 0, width), span(rng, 0, height))
            x, y = project(at.to_pixels(), np.array([[11.0, 4.0]]))[0]
            if not (0 < x < width and 0 < y < height):
                lay(picture, shape, face, wall, at, 2.0)
                self._others.append(_blade_ends(at))
                return

    def _remember(self, shape: KeyShape, face: Array, wall: Array) -> None:
        if len(self._lying) < 30:
            self._lying.append((shape, face, wall))
        elif chance(self.rng, 0.1):
            self._lying[int(self.rng.integers(30))] = (shape, face, wall)

    def _hold(self, picture: Array, at: Pose) -> None:
        rng = self.rng
        grip, tip, back = project(
            at.to_pixels(),
            np.array([[span(rng, -30, -7.5), span(rng, -4, 12)], [10.0, 4], [-20.0, 4]]),
        )
        away = math.atan2(back[1] - tip[1], back[0] - tip[0])
        finger(rng, picture, grip, away, at.px_per_mm * span(rng, 4, 8))


def _blade_ends(at: Pose) -> Array:
    return project(at.to_pixels(), np.array([[2.0, 4.0], [25.0, 4.0]]))


def label_frame(sample: Sample) -> Array:
    """Return the homography from mm of the label frame to pixels."""
    scale = label_scale(sample)
    return sample.to_pixels @ np.diag([scale, scale, 1.0])


def label_scale(sample: Sample) -> float:
    """Return the length in real mm of one mm in the label frame.

    It is 1, except for foreign keys, whose labels are scaled to a blade height of 8.6 mm.
    """
    return (
        sample.blade.height / NOMINAL_HEIGHT_MM
        if sample.blade is not None and sample.kind == OTHER
        else 1.0
    )


def label(sample: Sample, file: str) -> dict[str, object]:
    """Return the sample's labels for one line of labels.jsonl.

    `bitting` lists the depths from bow to tip. It is None unless the photo shows exactly one whole
    key, of a supported family.
    """
    readable = sample.kind in READABLE and sample.blade is not None and not sample.several
    # A key with five cuts on a six-pin blank (SC4) opens five-pin locks, so its keyway is SC1.
    five = sample.kind == "SC4" and sample.blade is not None and len(sample.blade.codes) == 5
    return {
        "file": file,
        "keyway": SEVERAL if sample.several else "SC1" if five else sample.kind,
        "family": sample.blade.family if sample.blade else None,
        "bitting": list(sample.blade.codes) if readable and sample.blade else None,
        "tier": "negative" if sample.kind == NONE else sample.tier,
        "tilt_deg": None if sample.kind == NONE else round(sample.tilt_deg, 2),
        "px_per_mm": None if sample.kind == NONE else round(sample.px_per_mm, 2),
        "others": len(sample.others),
    }


def photos(
    scene: Scene,
    count: int,
    size: tuple[int, int],
    tiers: Sequence[str] = TIERS,
    kinds: Sequence[str] = READABLE,
) -> Iterator[Sample]:
    """Yield `count` whole photos of `size` (width, height) in pixels.

    The kinds alternate. After each round of kinds the next tier is used. A photo of kind SEVERAL
    shows two to five whole keys, as far as they fit.
    """
    for index in range(count):
        kind, tier = kinds[index % len(kinds)], tiers[index // len(kinds) % len(tiers)]
        wanted = Wanted(kind=kind, tier=tier)
        if kind == SEVERAL:
            wanted = Wanted(tier=tier, several=int(scene.rng.integers(1, 5)))
        yield scene.whole(*size, wanted=wanted)


def write_folder(folder: Path, samples: Iterator[Sample], flat: bool = False) -> int:
    """Write labels.jsonl and the photos into a folder, and return the number of photos.

    The photos are named after their kind. They are written to images/, or next to labels.jsonl if
    `flat` is True.
    """
    images = folder if flat else folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    lines = []
    for sample in samples:
        counts[sample.kind] += 1
        file = f"{sample.kind.lower()}_{counts[sample.kind]:02d}.jpg"
        cv2.imwrite(str(images / file), sample.picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        lines.append(json.dumps(label(sample, file)))
    (folder / "labels.jsonl").write_text("\n".join(lines) + "\n")
    return len(lines)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--size", type=int, nargs=2, default=(1280, 960), metavar=("WIDTH", "HEIGHT")
    )
    parser.add_argument("--tiers", nargs="+", default=TIERS, choices=TIERS)
    parser.add_argument(
        "--kinds", nargs="+", default=READABLE, choices=(*READABLE, OTHER, BLANK, NONE, SEVERAL)
    )
    parser.add_argument("--plain", action="store_true", help="plain grounds only")
    parser.add_argument(
        "--flat", action="store_true", help="photos beside the labels, not in images/"
    )
    options = parser.parse_args()
    cv2.setNumThreads(1)
    scene = Scene(options.seed, plain=options.plain)
    count = write_folder(
        options.out,
        photos(scene, options.count, options.size, options.tiers, options.kinds),
        options.flat,
    )
    print(f"{count} photos in {options.out}")


if __name__ == "__main__":
    main()
