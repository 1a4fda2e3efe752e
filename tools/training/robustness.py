"""Renders the robustness sets and scores a model on them.

Each set contains rendered photos with one difficulty of real photos, such as worn keys, foreign
keys or low light. `python -m tools.training.robustness draw OUT` renders each set into a folder of
OUT. `python -m tools.training.robustness score OUT MODEL` scores a model on them. The sets have
seeds that are used nowhere else: nothing is trained, fitted or calibrated on them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from keylike.images.libraries import configure_image_libraries
from keylike.images.photo import open_photo
from keylike.readers.caliper.reader import CaliperReader
from keylike.readers.contract import Reading
from keylike.readers.evaluation import Shot, Verdict, calibration_error, shots
from tools.training.looks import NAMED, PLAIN
from tools.training.render import (
    NONE,
    READABLE,
    TIERS,
    Sample,
    Scene,
    Wanted,
    write_folder,
)
from tools.training.shapes import BLANK, OTHER, Cutter, foreign, foreign_keyway

SIZE = (1024, 768)  # width and height of the photos in pixels
SEED = 77000  # base of the seeds; the name of a set is added
# Measures of the two foreign families that an earlier reader read as SC1 most often, in mm:
# position of the first cut, spacing, blade height, difference between two depths, and width of a
# cut's flat bottom. Then the number of cuts, and the blade length in mm.
FIRST_LOOK_ALIKE = foreign(5.2, 4.0, 8.2, 0.5, 0.8, 5, 25.4)
SECOND_LOOK_ALIKE = foreign(5.46, 3.69, 8.71, 0.45, 0.8, 5, 24.8)
# Scales in pixels per mm and tilts in degrees, each with its own set.
SCALES_PX_MM = (3.0, 4.5, 6.0, 10.0, 18.0, 28.0)
TILTS_DEG = (0.0, 10.0, 20.0, 30.0)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Description of one set.

    Attributes:
        count: Number of photos.
        wanted: Requests for the photos. The set repeats them in this order.
        any_family: True to invent a new foreign family for each photo.
    """

    count: int
    wanted: tuple[Wanted, ...]
    any_family: bool = False


def recipes() -> dict[str, Recipe]:
    """Return the recipes of all sets by name."""
    plain = Wanted(look=PLAIN)
    sets = {
        f"flats x {times}": Recipe(
            100,
            tuple(
                replace(plain, kind=kind, tier="easy", cutter=Cutter(flat_times=times))
                for kind in ("SC1", "SC4")
            ),
        )
        for times in (1.0, 1.5, 2.0)
    }
    sets["foreign"] = Recipe(
        300, tuple(Wanted(kind=OTHER, tier=tier) for tier in TIERS), any_family=True
    )
    for name, family in (("a", FIRST_LOOK_ALIKE), ("b", SECOND_LOOK_ALIKE)):
        wanted = Wanted(kind=OTHER, tier="easy", family=family, look=PLAIN)
        sets[f"foreign {name}"] = Recipe(50, (wanted,))
    sets["several"] = Recipe(
        100, tuple(Wanted(kind=kind, several=n) for n in (1, 2, 3, 4) for kind in READABLE)
    )
    sets["negatives"] = Recipe(100, tuple(Wanted(kind=NONE, tier=tier) for tier in TIERS))
    sets["blanks"] = Recipe(100, tuple(Wanted(kind=BLANK, tier=tier) for tier in TIERS))
    for tier in TIERS:
        looks = tuple(NAMED.values())
        asked = tuple(
            Wanted(kind=kind, tier=tier, look=look) for kind in READABLE for look in looks
        )
        sets[f"looks {tier}"] = Recipe(
            100, tuple(asked[i * 37 % len(asked)] for i in range(len(asked)))
        )
    for scale in SCALES_PX_MM:
        sets[f"scale {scale:g}"] = Recipe(
            30, tuple(replace(plain, kind=kind, tier="easy", px_per_mm=scale) for kind in READABLE)
        )
    for tilt in TILTS_DEG:
        sets[f"tilt {tilt:g}"] = Recipe(
            30, tuple(replace(plain, kind=kind, tier="easy", tilt_deg=tilt) for kind in READABLE)
        )
    mixed = [Wanted(kind=kind, tier=tier) for tier in TIERS for kind in (*READABLE, OTHER, OTHER)]
    sets["mixed"] = Recipe(300, tuple(mixed))
    return sets


def draw_set(name: str, recipe: Recipe, count: int) -> Iterator[Sample]:
    """Yield `count` photos of one set. The same name gives the same photos."""
    seed = SEED + sum(ord(letter) * (i + 1) for i, letter in enumerate(name))
    scene = Scene(seed, grounds=24)
    for index in range(count):
        wanted = recipe.wanted[index % len(recipe.wanted)]
        if recipe.any_family:
            wanted = replace(wanted, family=foreign_keyway(scene.rng))
        yield scene.whole(*SIZE, wanted=wanted)


def draw(out: Path, share: float, names: Sequence[str]) -> None:
    """Render the sets that do not exist yet.

    Args:
        out: Folder of the sets.
        share: Fraction of each set's photos to render.
        names: Names of the sets to render, or empty for all.
    """
    for name, recipe in recipes().items():
        folder = out / name.replace(" ", "-")
        if (names and name not in names) or (folder / "labels.jsonl").exists():
            continue
        count = max(1, round(recipe.count * share))
        print(f"{name}: {write_folder(folder, draw_set(name, recipe, count))}", flush=True)


def judge(reader: CaliperReader, shot: Shot) -> Verdict:
    """Read one photo and return the verdict."""
    return Verdict(shot, reader.read([open_photo(shot.path.read_bytes())])[0], 0.0)


def summary(verdicts: Sequence[Verdict]) -> dict[str, float | int | str]:
    """Return the counts of one set, and the reasons of its refusals as JSON.

    Returns:
        n: Photos.
        right: Photos with the correct keyway and code in the result.
        given: Photos with a code in the result.
        false: Wrong codes.
        false_50, false_75: Wrong codes with a confidence of at least 0.5 and 0.75.
        reasons: Number of refusals by reason.
    """
    given = [each for each in verdicts if isinstance(each.result, Reading)]
    false = [each for each in given if not each.whole]
    surely = [each.result.confidence for each in false if isinstance(each.result, Reading)]
    reasons = [str(each.result.reason) for each in verdicts if not isinstance(each.result, Reading)]
    counted = {reason: reasons.count(reason) for reason in sorted(set(reasons))}
    return {
        "n": len(verdicts),
        "right": sum(each.whole for each in verdicts),
        "given": len(given),
        "false": len(false),
        "false_50": sum(sure >= 0.5 for sure in surely),
        "false_75": sum(sure >= 0.75 for sure in surely),
        "reasons": json.dumps(counted),
    }


def score(out: Path, model: Path, names: Sequence[str]) -> None:
    """Print one line of JSON for each set, then the calibration over all codes that were returned.

    Args:
        out: Folder of the sets.
        model: Folder of the model.
        names: Names of the sets to score, or empty for all.
    """
    reader, sure = CaliperReader.load(model), []
    for name in recipes():
        folder = out / name.replace(" ", "-")
        if (names and name not in names) or not (folder / "labels.jsonl").exists():
            continue
        row = [judge(reader, shot) for shot in shots(folder)]
        print(json.dumps({"set": name} | summary(row)), flush=True)
        for each in row:
            if isinstance(each.result, Reading):
                sure.append((each.result.confidence, each.whole))
    if sure:
        high = [right for confidence, right in sure if confidence >= 0.75]
        wrong = len(high) - sum(high)
        print(
            json.dumps(
                {
                    "codes": len(sure),
                    "calibration_error": calibration_error(sure),
                    "at_75": len(high),
                    "wrong_at_75": wrong,
                }
            )
        )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("draw", "score"))
    parser.add_argument("out", type=Path)
    parser.add_argument("model", type=Path, nargs="?", default=Path("models/caliper"))
    parser.add_argument("--share", type=float, default=1.0, help="of each set's photos")
    parser.add_argument("--sets", nargs="*", default=())
    options = parser.parse_args()
    cv2.setNumThreads(1)
    configure_image_libraries()
    if options.what == "draw":
        draw(options.out, options.share, options.sets)
    else:
        score(options.out, options.model, options.sets)


if __name__ == "__main__":
    main()
