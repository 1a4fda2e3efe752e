"""Writes rendered training pictures to disk: plates and wholes.

Plates are straightened blades with wide margins. Wholes are small whole photos.
`python -m tools.training.dataset plates OUT --seed 1 --count 8000` writes the pictures to
OUT/plates_00001.npy and their labels to OUT/plates_00001.npz.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from keylike.readers.caliper.frames import Strip, straighten
from keylike.readers.caliper.networks import KINDS
from tools.training.draw import Array, chance
from tools.training.render import Sample, Scene, Wanted, label_frame, label_scale
from tools.training.shapes import MOST_CUTS

# A plate: width and height in pixels, pixels per mm, and (u, v) of its lower left corner in mm.
PLATE = Strip(516, 252, 12.0, -8.0, -6.0)
WHOLE_SIDE = 256  # width and height of a whole in pixels
MOST_OTHERS = 6  # largest number of further blades in the labels
SEVERAL = 0.25  # fraction of the wholes that show several keys
PROFILE_U = np.arange(0, 34, 0.1)  # positions of the profile along the blade, in mm


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of n pictures. Each array has n as its first dimension, which is left out below.

    Lengths are in mm of the label frame: a foreign key is scaled to a blade height of 8.6 mm
    (`render.label_scale`).

    Attributes:
        kind: Index in KINDS.
        depths: Blade height left under each cut, (6,). NaN where there is no cut.
        visible: 1 where the outline really has that height, else 0, (6,).
        profile: v of the upper and the lower edge at PROFILE_U, (2, 340).
        length: Length of the blade.
        tip_v: v of the tip.
        pose: Homography from mm to pixels, (3, 3).
        px_per_mm: Scale of the photo.
        tilt_deg: Tilt of the key's plane in degrees.
        row: Position of the first cut, and spacing of the cuts, (2,). Zeros without cuts.
        others: Shoulder and tip of each further blade in pixels, (6, 2, 2). NaN for unused rows.
            Only used for wholes.
    """

    kind: Array
    depths: Array
    visible: Array
    profile: Array
    length: Array
    tip_v: Array
    pose: Array
    px_per_mm: Array
    tilt_deg: Array
    row: Array
    others: Array | None = None


def describe(sample: Sample) -> dict[str, Array]:
    """Return the labels of one sample. `Labels` describes them."""
    depths, visible = np.full(MOST_CUTS, np.nan), np.zeros(MOST_CUTS)
    profile, length, tip_v = np.zeros((2, len(PROFILE_U))), 0.0, 0.0
    blade, row = sample.blade, np.zeros(2)
    if blade is not None:
        scale = label_scale(sample)
        u = blade.u / scale
        profile = np.stack(
            [
                np.interp(PROFILE_U, u, edge / scale, right=blade.tip_v / scale)
                for edge in (blade.upper, blade.lower)
            ]
        )
        length, tip_v = blade.length / scale, blade.tip_v / scale
        row = np.array(blade.row) / scale
        cut = np.interp(blade.centres, blade.u, blade.upper) if len(blade.centres) else np.zeros(0)
        count = min(MOST_CUTS, len(blade.depths))
        depths[:count] = (blade.depths / scale)[:count]
        visible[:count] = (np.abs(cut - blade.depths) < 0.15)[:count]
    return {
        "kind": np.array(KINDS.index(sample.kind)),
        "depths": depths,
        "visible": visible,
        "profile": profile,
        "length": np.array(length),
        "tip_v": np.array(tip_v),
        "pose": label_frame(sample),
        "px_per_mm": np.array(sample.px_per_mm),
        "tilt_deg": np.array(sample.tilt_deg),
        "row": row,
        "others": _others(sample),
    }


def _others(sample: Sample) -> Array:
    others = np.full((MOST_OTHERS, 2, 2), np.nan)
    for place, blade in zip(others, sample.others, strict=False):
        place[...] = blade
    return others


def draw(what: str, out: Path, seed: int, count: int) -> None:
    """Render `count` plates or wholes into one shard. The same seed gives the same pictures."""
    scene = Scene(seed)
    shape = (PLATE.height, PLATE.width, 3) if what == "plates" else (WHOLE_SIDE, WHOLE_SIDE, 3)
    partial = out.with_suffix(".part.npy")
    pictures = np.lib.format.open_memmap(partial, "w+", np.uint8, (count, *shape))
    rows = []
    for index in range(count):
        sample = scene.blade_crop() if what == "plates" else _whole(scene)
        row = describe(sample)
        pictures[index] = (
            straighten(sample.picture, row["pose"], PLATE) if what == "plates" else sample.picture
        )
        rows.append(row)
    pictures.flush()
    labels: dict[str, Any] = {
        name: np.stack([row[name] for row in rows]).astype(np.float32) for name in rows[0]
    }
    np.savez(out.with_suffix(".npz"), **labels)
    partial.rename(out.with_suffix(".npy"))


def _whole(scene: Scene) -> Sample:
    several = int(scene.rng.integers(1, 5)) if chance(scene.rng, SEVERAL) else 0
    return scene.whole(WHOLE_SIDE, WHOLE_SIDE, none_share=0.3, wanted=Wanted(several=several))


def load(folder: Path, what: str) -> tuple[list[Array], Array, Labels]:
    """Load all shards (pairs of .npy and .npz files) of a folder.

    Returns:
        The memory-mapped pictures of each shard, an index (n, 2) with the shard and row of every
        picture, and the labels in the order of the index.

    Raises:
        FileNotFoundError: The folder has no shard of this kind.
    """
    paths = sorted(folder.glob(f"{what}_*.npy"))
    paths = [path for path in paths if not path.name.endswith(".part.npy")]
    if not paths:
        raise FileNotFoundError(f"no {what} in {folder}; draw them first")
    shards = [np.load(path, mmap_mode="r") for path in paths]
    index = np.concatenate(
        [
            np.stack([np.full(len(shard), i), np.arange(len(shard))], 1)
            for i, shard in enumerate(shards)
        ]
    )
    files = [np.load(path.with_suffix(".npz")) for path in paths]
    names = [name for name in Labels.__slots__ if all(name in file for file in files)]
    return (
        shards,
        index,
        Labels(**{name: np.concatenate([file[name] for file in files]) for name in names}),
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("plates", "wholes"))
    parser.add_argument("out", type=Path, help="a folder; the shard is named after its seed")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / f"{options.what}_{options.seed:05d}"
    if target.with_suffix(".npy").exists():
        print(f"{target} is there already")
        return
    draw(options.what, target, options.seed, options.count)
    print(f"{options.count} {options.what} in {target}.npy")


if __name__ == "__main__":
    main()
