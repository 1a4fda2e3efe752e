"""Refits the scale of the confidence on straightened blades, without rendering whole photos.

Usage: `python -m tools.training.recalibrate MODEL DATA --version 1.3.1`. DATA is a folder of
`tools.training.dataset plates` that the networks were not trained on. The blades stand for photos
whose rough pose has the errors that the finder leaves. The networks, the noise and the other
thresholds of the manifest stay. The order of the confidences stays too: only their scale and shift
and the least confidence are fitted.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from keylike.keys.keyways import keyway
from keylike.readers.caliper.frames import TURN_OVER
from keylike.readers.caliper.locate import PoseFit, Rough, alternative_poses, initial_poses
from keylike.readers.caliper.manifest import (
    Calibration,
    Thresholds,
    calibration_of,
    thresholds_of,
)
from keylike.readers.caliper.networks import CUTS_OF, KINDS, Measured, Networks, files_of
from keylike.readers.caliper.reader import UNCUT_FROM_MM, CaliperReader
from keylike.readers.evaluation import Shot, calibration_error
from tools.training.augment import found_pose_error
from tools.training.calibrate import (
    FALSE_CODE,
    Judged,
    fit_logistic,
    write_manifest,
)
from tools.training.dataset import PLATE, Labels, load
from tools.training.draw import Array, chance

SEED = 7
FOLDS = 10
LEAST = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
MISREAD = 2.0  # cost of a wrong code of a supported key, in refused right ones


class _OnPlate(Networks):
    """Networks that measure a plate as if it were the photo that it was cut from."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(files)
        self.to_photo = np.eye(3)

    def measure(self, strip: Array, pose: Array) -> Measured:
        """Measure a strip. The pose features are those of the photo."""
        return super().measure(strip, self.to_photo @ pose)


def shot_of(labels: Labels, row: int) -> Shot:
    """Return kind and code of a plate. The nearest depths are the code."""
    kind = KINDS[int(labels.kind[row])]
    if kind not in CUTS_OF:
        return Shot(Path(str(row)), kind, None, "plate")
    heights = labels.depths[row]
    way = keyway("SC1" if kind == "SC4" and heights[-1] > UNCUT_FROM_MM else kind)
    depths = way.depths_mm
    codes = tuple(
        min(depths, key=lambda code: abs(depths[code] - height)) for height in heights[: way.cuts]
    )
    return Shot(Path(str(row)), way.name, codes, "plate")


def analyses(model: Path, data: Path, rows: Sequence[int]) -> Iterator[Judged]:
    """Yield the reader's analysis of each plate on which a blade is found."""
    reader, networks = CaliperReader.load(model), _OnPlate(files_of(model))
    shards, index, labels = load(data, "plates")
    for row in rows:
        rng = np.random.default_rng([SEED, row])
        shard, at = index[row]
        plate = np.ascontiguousarray(shards[shard][at])
        to_photo = labels.pose[row].astype(float) @ np.linalg.inv(PLATE.matrix)
        networks.to_photo = to_photo
        wrong = found_pose_error(rng) @ (TURN_OVER if chance(rng, 0.5) else np.eye(3))
        rough = Rough(PLATE.matrix @ np.linalg.inv(wrong), presence=5.0)

        def on_photo(fits: list[PoseFit], to_photo: Array = to_photo) -> list[PoseFit]:
            return [replace(fit, pose=to_photo @ fit.pose) for fit in fits]

        first = initial_poses(networks, plate, rough)
        others = alternative_poses(networks, plate, rough, first)
        analysis = reader.refine(on_photo(first), map(on_photo, others))
        if analysis is not None:
            yield Judged(shot_of(labels, row), analysis)


def scores(rows: Sequence[Judged], weights: tuple[float, ...]) -> Array:
    """Return the logit of the confidence of each analysis."""
    return np.array([one.analysis.figures for one in rows]) @ weights[:-1] + weights[-1]


def rescale(rows: Sequence[Judged], calibration: Calibration) -> Calibration:
    """Return the calibration with scale and shift fitted to these codes."""
    slope, shift = fit_logistic(
        scores(rows, calibration.weights)[:, None], np.array([one.right for one in rows], float)
    )
    *weights, constant = calibration.weights
    scaled = [round(weight * slope, 5) for weight in weights]
    return replace(calibration, weights=(*scaled, round(constant * slope + shift, 5)))


def least_confidence(rows: Sequence[Judged], calibration: Calibration, limits: Thresholds) -> float:
    """Return the least confidence with the lowest cost of refused, wrong and foreign codes."""

    def cost(least: float) -> float:
        chosen = replace(limits, confidence=least)
        given = [one for one in rows if one.within(chosen, calibration)]
        wrong = [one for one in given if not one.right]
        false = sum(FALSE_CODE if one.shot.codes is None else MISREAD for one in wrong)
        return false - (len(given) - len(wrong))

    return min(reversed(LEAST), key=cost)


def fit(
    rows: Sequence[Judged], calibration: Calibration, limits: Thresholds
) -> tuple[Calibration, Thresholds]:
    """Fit scale, shift and least confidence on the codes that the other thresholds let through."""
    limits = replace(limits, confidence=0.0)
    through = [one for one in rows if one.within(limits, calibration)]
    fitted = rescale(through, calibration)
    return fitted, replace(limits, confidence=least_confidence(through, fitted, limits))


def claims(rows: Sequence[Judged], calibration: Calibration, limits: Thresholds) -> dict[str, str]:
    """Return the figures of each tenth of the plates under what the other nine tenths fit."""
    told: list[tuple[float, bool]] = []
    for fold in range(FOLDS):
        kept = rows[fold::FOLDS]
        fitted, chosen = fit(
            [one for i, one in enumerate(rows) if i % FOLDS != fold], calibration, limits
        )
        given = [one for one in kept if one.within(chosen, fitted)]
        values = scores(given, fitted.weights)
        told += [
            (float(1 / (1 + np.exp(-value))), one.right)
            for value, one in zip(values, given, strict=True)
        ]
    readable = sum(one.shot.codes is not None for one in rows)
    right = sum(one for _, one in told)
    return {
        "photos": str(len(rows)),
        "readable": str(readable),
        "whole_code": f"{right / readable:.4f}",
        "false_codes": str(len(told) - right),
        "calibration_error": str(calibration_error(told)),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--version", required=True)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    manifest = tomllib.loads((options.model / "manifest.toml").read_text())
    calibration, limits = calibration_of(manifest), thresholds_of(manifest)
    rows = list(analyses(options.model, options.data, range(options.count)))
    measured = claims(rows, calibration, limits)
    write_manifest(options.model, options.version, *fit(rows, calibration, limits), measured)
    print((options.model / "manifest.toml").read_text())


if __name__ == "__main__":
    main()
