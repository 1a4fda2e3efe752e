"""Draws photos of keys with known codes; `python -m tools.training.render OUT --count 200` writes a labelled folder of them."""

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
from keylike.readers.caliper.frames import project
from tools.training.backgrounds import crop, finger, scatter, surface
from tools.training.camera import Pose, cast_shadow, lay, pose
from tools.training.draw import Array, chance, span
from tools.training.lens import expose
from tools.training.light import shade
from tools.training.relief import Relief, carve, carve_dimples, carve_track
from tools.training.shapes import (
    BLADE_EXTENT,
    BLANK,
    FULL_EXTENT,
    OTHER,
    BladePlan,
    KeyShape,
    draw_key,
    plan_blade,
)

NONE = "none"
NOMINAL_HEIGHT_MM = (
    8.6  # keys of other families are labelled in a frame that is scaled to this blade height
)
TILT_DEG = {"easy": (0.0, 9.0), "normal": (0.0, 20.0), "hard": (5.0, 36.0)}
TIERS = ("easy", "normal", "hard")
READABLE = ("SC1", "SC4", "KW1")
# What has to be in the picture, mm: the key, or its blade with some room round it.
_WHOLE = np.array([[-30.0, -8], [29, -1.5], [29, 10], [-30, 17]])
_BLADE = np.array([[-3.0, -1], [31, -1], [31, 10], [-3, 10]])


@dataclass(frozen=True, slots=True)
class Sample:
    """One drawn photo: RGB uint8, what is on it, and where.

    `kind` is SC1, SC4, KW1, "other", "blank" or "none"; `to_pixels` maps (u, v, 1) mm of the key's face to pixels; `blade`
    holds codes and profile, None when there is no key (`to_pixels` is then only where one might have been).
    """

    picture: Array
    kind: str
    blade: BladePlan | None
    to_pixels: Array
    tier: str
    tilt_deg: float
    px_per_mm: float
    thickness: float


@dataclass(frozen=True, slots=True)
class _Key:
    shape: KeyShape
    relief: Relief
    kind: str


class Scene:
    """A seeded source of photos. Grounds are drawn once and cut anew for each photo; everything else is drawn each time."""

    def __init__(self, seed: int, grounds: int = 80, plain: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        self.grounds = [surface(self.rng, plain) for _ in range(grounds)]
        self.known = {name: one for name, one in keyways().items() if name in READABLE}
        self.others = [one for name, one in keyways().items() if name not in READABLE]
        self._lying: list[tuple[KeyShape, Array, Array]] = []

    def blade_crop(self, kind: str | None = None, tier: str | None = None) -> Sample:
        """A crop of at most 512 pixels round one blade at the photo's own scale (5.5 to 22 pixels a mm)."""
        rng = self.rng
        tier, kind = tier or self._tier(), kind or self._kind(0.05)
        px_per_mm = math.exp(span(rng, math.log(5.5), math.log(12 if chance(rng, 0.5) else 22)))
        key = self._key(kind, float(np.clip(px_per_mm * 1.05, 9, 15)), BLADE_EXTENT)
        at = pose(rng, px_per_mm, span(rng, 0.9, 3) * 1100, span(rng, *TILT_DEG[tier]), (12, 4.5))
        box = project(at.to_pixels(), np.array([[-5.0, -3], [31, -3], [31, 12], [-5, 12]]))
        low, high = np.floor(box.min(0)) - 4, np.ceil(box.max(0)) + 4
        width, height = (int(side) for side in np.minimum(high - low, 720))
        return self._photo(key, at.moved(-low[0], -low[1]), tier, width, height)

    def whole(
        self,
        width: int,
        height: int,
        kind: str | None = None,
        tier: str | None = None,
        none_share: float = 0.1,
    ) -> Sample:
        """A whole photo: the blade inside wherever the key is not larger than the picture, the bow sometimes cut off by the frame."""
        rng = self.rng
        tier, kind = tier or self._tier(), kind or self._kind(none_share)
        side = min(width, height)
        longest = 1.0 if tier == "easy" else 1.75
        px_per_mm = span(rng, 0.36, longest) * side / 58
        key = self._key(kind, float(np.clip(px_per_mm * 1.15, 6, 16)), FULL_EXTENT)
        at = pose(rng, px_per_mm, span(rng, 0.9, 3) * side, span(rng, *TILT_DEG[tier]), (-4.0, 4.4))
        at = self._framed(at, width, height, tier)
        return self._photo(key, at, tier, width, height)

    def _framed(self, at: Pose, width: int, height: int, tier: str) -> Pose:
        """Moves the picture so that the whole key fits, or, on harder tiers and where it is too large, at least the blade."""
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
        shares = np.array([0.32, 0.14, 0.28, 0.2, 0.06])
        kinds = ("SC1", "SC4", "KW1", OTHER, BLANK)
        return NONE if chance(self.rng, none_share) else kinds[int(self.rng.choice(5, p=shares))]

    def _key(
        self, kind: str, px_per_mm: float, extent: tuple[float, float, float, float]
    ) -> _Key | None:
        if kind == NONE:
            return None
        rng = self.rng
        odd = kind == OTHER and chance(rng, 0.35)
        keyway = self._keyway(kind)
        blade = plan_blade(rng, keyway, BLANK if odd or kind == BLANK else kind)
        shape = draw_key(rng, blade, px_per_mm, extent)
        relief = carve(rng, shape)
        if odd:
            dimples = chance(rng, 0.5)
            (carve_dimples if dimples else carve_track)(rng, relief, shape)
            shape = replace(shape, blade=replace(blade, family="dimple" if dimples else "track"))
        return _Key(shape, relief, kind)

    def _keyway(self, kind: str) -> Keyway:
        if kind == OTHER:
            return self.others[int(self.rng.integers(len(self.others)))]
        names = list(self.known)
        return self.known[kind if kind in self.known else names[int(self.rng.integers(len(names)))]]

    def _photo(self, key: _Key | None, at: Pose, tier: str, width: int, height: int) -> Sample:
        rng, hard = self.rng, tier == "hard"
        picture = crop(rng, self.grounds, height, width)
        self._clutter(picture, at, hard, crowded=key is None)
        thickness = span(rng, 1.7, 2.4)
        if key is not None:
            cast_shadow(rng, picture, key.shape, at, thickness)
            face, wall = shade(rng, key.shape, key.relief, at.view)
            lay(picture, key.shape, face, wall, at, thickness)
            self._remember(key.shape, face, wall)
            if tier != "easy" and chance(rng, 0.35 if hard else 0.2):
                self._hold(picture, at)
        photo = expose(rng, picture, hard)
        if key is None:
            return Sample(
                photo, NONE, None, at.to_pixels(), tier, at.tilt_deg, at.px_per_mm, thickness
            )
        return Sample(
            photo,
            key.kind,
            key.shape.blade,
            at.to_pixels(),
            tier,
            at.tilt_deg,
            at.px_per_mm,
            thickness,
        )

    def _clutter(self, picture: Array, at: Pose, hard: bool, crowded: bool) -> None:
        rng = self.rng
        if not crowded and self._lying and chance(rng, 0.25 if hard else 0.06):
            self._second_key(picture, at.px_per_mm)
        most = 4 if crowded else 3
        if chance(rng, 0.75 if crowded else 0.45 if hard else 0.15):
            for _ in range(int(rng.integers(1, most))):
                scatter(rng, picture, at.px_per_mm)

    def _second_key(self, picture: Array, px_per_mm: float) -> None:
        """Another key whose blade lies mostly outside the picture: which of two whole keys is meant, nobody could say."""
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


def label_frame(sample: Sample) -> Array:
    """The homography from the label's mm to pixels; for other families scaled so that the blade is 8.6 mm high."""
    scale = label_scale(sample)
    return sample.to_pixels @ np.diag([scale, scale, 1.0])


def label_scale(sample: Sample) -> float:
    """Real mm a mm of the label's frame: 1 but for other families."""
    return (
        sample.blade.height / NOMINAL_HEIGHT_MM
        if sample.blade is not None and sample.kind == OTHER
        else 1.0
    )


def label(sample: Sample, file: str) -> dict[str, object]:
    """The sample's line in labels.jsonl; codes bow to tip, None where there is nothing to read."""
    readable = sample.kind in READABLE and sample.blade is not None
    # A six-pin blank with five cuts is a five-pin key: that is the lock it opens.
    five = sample.kind == "SC4" and sample.blade is not None and len(sample.blade.codes) == 5
    return {
        "file": file,
        "keyway": "SC1" if five else sample.kind,
        "family": sample.blade.family if sample.blade else None,
        "bitting": list(sample.blade.codes) if readable and sample.blade else None,
        "tier": "negative" if sample.kind == NONE else sample.tier,
        "tilt_deg": None if sample.kind == NONE else round(sample.tilt_deg, 2),
        "px_per_mm": None if sample.kind == NONE else round(sample.px_per_mm, 2),
    }


def photos(
    scene: Scene,
    count: int,
    size: tuple[int, int],
    tiers: Sequence[str] = TIERS,
    kinds: Sequence[str] = READABLE,
) -> Iterator[Sample]:
    """`count` whole photos of `size` (width, height), tiers and kinds in turn."""
    for index in range(count):
        yield scene.whole(
            *size, kind=kinds[index % len(kinds)], tier=tiers[index // len(kinds) % len(tiers)]
        )


def write_folder(folder: Path, samples: Iterator[Sample], flat: bool = False) -> int:
    """Writes labels.jsonl and the photos, named by kind, into images/ (`flat`: beside the labels); returns the number of photos."""
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
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--size", type=int, nargs=2, default=(1280, 960), metavar=("WIDTH", "HEIGHT")
    )
    parser.add_argument("--tiers", nargs="+", default=TIERS, choices=TIERS)
    parser.add_argument(
        "--kinds", nargs="+", default=READABLE, choices=(*READABLE, OTHER, BLANK, NONE)
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
