"""Fits the caliper's calibration on drawn photos it never saw, and writes its manifest: `python -m tools.training.calibrate MODEL PHOTOS`.

PHOTOS is a folder written by tools.training.render with keys of all kinds and pictures without a key. Every second photo of each kind
is fitted on, the others measure what the manifest then claims.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import itertools
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from keylike.images.libraries import configure_image_libraries
from keylike.images.photo import open_photo
from keylike.readers.caliper.confidence import FIGURES, confidence, kind_probabilities
from keylike.readers.caliper.decode import Noise
from keylike.readers.caliper.locate import Sighting, find, first_thought, second_thoughts
from keylike.readers.caliper.manifest import Calibration, Thresholds
from keylike.readers.caliper.networks import CUTS_OF, KINDS, NETWORKS, Networks, files_of
from keylike.readers.caliper.reader import CaliperReader, Trial
from keylike.readers.contract import ReaderInfo
from keylike.readers.evaluation import Shot, calibration_error, shots
from tools.training.draw import Array

OPEN = Thresholds(presence=-99.0, fit=-99.0, other=1.1, evidence=-99.0, confidence=0.0)
START = Calibration(Noise(1.0, 0.05), (*(0.0 for _ in FIGURES), 0.0), 1.0)
TEMPERATURES = (0.7, 0.85, 1.0, 1.2)
SHIFTS_MM = (0.06, 0.09, 0.13, 0.18)
SLOPES_MM = (0.03, 0.06, 0.09)
LEAST_CONFIDENCE = 0.10
UNRANKED = 1e-3
LOGITS = [float(x) for x in range(-3, 8)]
SHARES = [round(-0.02 * x, 2) for x in range(5, 36)]
EVIDENCE = [round(-5 + 0.2 * x, 2) for x in range(15)]
RIDGE = 0.02


_NO_STRIP = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Tried:
    """One photo and every sighting of a blade on it (strips left out): the first, if any, and the others, go by go."""

    shot: Shot
    first: list[Sighting]
    others: list[list[Sighting]]

    def trial(self, calibration: Calibration) -> Trial | None:
        """What the reader makes of them with this calibration."""
        return _reader(calibration).ponder(self.first, self.others)


class _NoNetworks(Networks):
    """For a reader that only decides."""

    def __init__(self) -> None:
        pass


@functools.cache
def _reader(calibration: Calibration) -> CaliperReader:
    return CaliperReader(
        _NoNetworks(), ReaderInfo("caliper", "0", "caliper", tuple(CUTS_OF), ""), calibration, OPEN
    )


def try_all(folder: Path, photos: list[Shot]) -> list[Tried]:
    """Runs the networks over every photo, refusing nothing."""
    networks = Networks(files_of(folder))
    return [_try(networks, shot) for shot in photos]


def _try(networks: Networks, shot: Shot) -> Tried:
    picture = open_photo(shot.path.read_bytes()).pixels
    rough = find(networks, picture, OPEN.presence)
    if rough is None:
        return Tried(shot, [], [])
    first = first_thought(networks, picture, rough)
    others = list(second_thoughts(networks, picture, rough, first))
    return Tried(shot, _without_strips(first), [_without_strips(go) for go in others])


def _without_strips(sightings: list[Sighting]) -> list[Sighting]:
    return [replace(one, strip=_NO_STRIP) for one in sightings]


def halves(tried: list[Tried]) -> tuple[list[Tried], list[Tried]]:
    """Every second photo of each kind, and the others: kinds come in turn, so every second of all might hold none of some."""
    by_kind: dict[str, list[Tried]] = {}
    for one in tried:
        by_kind.setdefault(one.shot.keyway, []).append(one)
    return [each for row in by_kind.values() for each in row[::2]], [
        each for row in by_kind.values() for each in row[1::2]
    ]


def fit_noise(tried: list[Tried], kind_temperature: float) -> Noise:
    """The temperature and common drift under which the true codes are likeliest, all sightings weighed; a code that is not ranked counts
    as UNRANKED likely, so that wrong poses do not decide."""
    keys = [one for one in tried if one.shot.codes]

    def surprise(noise: Noise) -> float:
        chances = (
            _chance(one, Calibration(noise, START.weights, kind_temperature)) for one in keys
        )
        return -sum(math.log(max(UNRANKED, chance)) for chance in chances)

    return min(
        (Noise(*each) for each in itertools.product(TEMPERATURES, SHIFTS_MM, SLOPES_MM)),
        key=surprise,
    )


def _chance(one: Tried, calibration: Calibration) -> float:
    """How likely the decoding finds the true code."""
    trial = one.trial(calibration)
    if trial is None or trial.keyway.name != one.shot.keyway:
        return 0.0
    return next((chance for code, chance in trial.decoding.ranked if code == one.shot.codes), 0.0)


def fit_kind_temperature(tried: list[Tried]) -> float:
    """The temperature under which the true kinds are likeliest."""
    rows = [
        (one.first[0].measured.kinds, one.shot.keyway)
        for one in tried
        if one.first and one.shot.keyway in KINDS
    ]

    def surprise(temperature: float) -> float:
        return -sum(
            math.log(max(1e-9, kind_probabilities(logits, temperature)[kind]))
            for logits, kind in rows
        )

    return min((0.5, 0.7, 1.0, 1.4, 2.0, 2.8), key=surprise)


def outcomes(tried: list[Tried], calibration: Calibration) -> tuple[Array, Array]:
    """Figures (n, 4) of every readable key's trial and whether the whole code came out right (n,)."""
    rows, right = [], []
    for one in tried:
        trial = one.trial(calibration)
        if trial is None or one.shot.codes is None:
            continue
        rows.append(trial.figures)
        right.append(
            trial.keyway.name == one.shot.keyway and trial.decoding.ranked[0][0] == one.shot.codes
        )
    return np.array(rows), np.array(right, float)


def fit_logistic(rows: Array, right: Array) -> tuple[float, ...]:
    """Weights and constant of a logistic curve, by Newton's method with a small ridge on standardised figures."""
    mean, scale = rows.mean(0), rows.std(0) + 1e-6
    design = np.concatenate([(rows - mean) / scale, np.ones((len(rows), 1))], 1)
    weights = np.zeros(design.shape[1])
    penalty = RIDGE * len(rows) * np.diag([*np.ones(rows.shape[1]), 0]) * 0.1
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (right - chance) - penalty @ weights
        bend = (
            (design * (chance * (1 - chance))[:, None]).T @ design
            + penalty
            + 1e-6 * np.eye(len(weights))
        )
        weights = weights + np.linalg.solve(bend, slope)
    plain = weights[:-1] / scale
    return (
        *(round(float(w), 5) for w in plain),
        round(float(weights[-1] - (plain * mean).sum()), 5),
    )


def fit_thresholds(tried: list[Tried], calibration: Calibration) -> Thresholds:
    """The limits that together lose the fewest pictures: right codes refused, and codes given for what is no key of ours (counted
    threefold). Of limits that are equally good the strictest: a picture without a key is then called one early."""
    pairs = [(one.shot, trial) for one in tried if (trial := one.trial(calibration)) is not None]
    read = np.array([_readable(trial, calibration) for _, trial in pairs])
    right = read & np.array(
        [
            trial.keyway.name == shot.keyway and trial.decoding.ranked[0][0] == shot.codes
            for shot, trial in pairs
        ]
    )
    wrong = read & np.array([shot.codes is None for shot, _ in pairs])
    values = np.array(
        [
            (t.sighting.presence, t.sighting.measured.fit, -t.kinds["other"], t.decoding.evidence)
            for _, t in pairs
        ]
    )

    def loss(limits: tuple[float, ...]) -> float:
        kept = (values >= np.array(limits)).all(1)
        return float((right & ~kept).sum() + 3 * (wrong & kept).sum())

    losses = {
        limits: loss(limits) for limits in itertools.product(LOGITS, LOGITS, SHARES, EVIDENCE)
    }
    least = min(losses.values())
    presence, fit, other, evidence = max(limits for limits, lost in losses.items() if lost == least)
    return Thresholds(presence, fit, -other, evidence, LEAST_CONFIDENCE)


def _readable(trial: Trial, calibration: Calibration) -> bool:
    """Whether a code would be given if there were no limits but the least confidence."""
    likeliest = max(trial.kinds, key=lambda kind: trial.kinds[kind])
    return (
        likeliest in CUTS_OF and confidence(trial.figures, calibration.weights) >= LEAST_CONFIDENCE
    )


def write_manifest(
    folder: Path,
    version: str,
    calibration: Calibration,
    thresholds: Thresholds,
    claims: dict[str, str],
) -> None:
    """Writes manifest.toml: names, hashes, calibration and what was measured."""
    hashes = {
        f"{name}.onnx": hashlib.sha256((folder / f"{name}.onnx").read_bytes()).hexdigest()
        for name in NETWORKS
    }
    lines = [
        'name = "caliper"', f'version = "{version}"', 'kind = "caliper"', 'licence = "MIT"', 'made_by = "make train"',
        f"keyways = {list(CUTS_OF)!r}".replace("'", '"'), 'depth_scale = "maker"', 'trained_on = "drawn photos only (training/render.py)"',
        "", "[files]", *(f'"{name}" = "{digest}"' for name, digest in hashes.items()),
        "", "[calibration]", f"temperature = {calibration.noise.temperature}", f"shift_mm = {calibration.noise.shift_mm}",
        f"slope_mm = {calibration.noise.slope_mm}",
        f"kind_temperature = {calibration.kind_temperature}", f"weights = {list(calibration.weights)}  # {', '.join(FIGURES)}, constant",
        "", "[thresholds]", *(f"{key} = {value}" for key, value in asdict(thresholds).items()),
        "", "[measured]  # on drawn photos that were neither trained nor fitted on", *(f"{key} = {value}" for key, value in claims.items()),
    ]  # fmt: skip
    (folder / "manifest.toml").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--version", required=True)
    options = parser.parse_args()
    configure_image_libraries()
    cv2.setNumThreads(1)
    tried = try_all(options.model, shots(options.photos))
    fitted, kept = halves(tried)
    temperature = fit_kind_temperature(fitted)
    noise = fit_noise(fitted, temperature)
    half = Calibration(noise, START.weights, temperature)
    calibration = Calibration(noise, fit_logistic(*outcomes(fitted, half)), temperature)
    rows, right = outcomes(kept, calibration)
    sure = [
        (confidence(tuple(row), calibration.weights), bool(hit))
        for row, hit in zip(rows, right, strict=True)
    ]
    claims = {
        "photos": str(len(rows)),
        "whole_code": f"{right.mean():.4f}",
        "calibration_error": str(calibration_error(sure)),
    }
    write_manifest(
        options.model, options.version, calibration, fit_thresholds(tried, calibration), claims
    )
    print((options.model / "manifest.toml").read_text())


if __name__ == "__main__":
    main()
