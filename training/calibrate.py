"""Fits the caliper's calibration on drawn photos it never saw, and writes its manifest: `python -m training.calibrate MODEL PHOTOS`.

PHOTOS is a folder written by training.render with keys of all kinds and pictures without a key. Every second photo is fitted on, the
others measure what the manifest then claims.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from readers.caliper.confidence import FIGURES, confidence, figures, kind_probabilities
from readers.caliper.decode import Noise, decode
from readers.caliper.manifest import Calibration, Thresholds
from readers.caliper.networks import CUTS_OF, KINDS, NETWORKS, Networks
from readers.caliper.reader import CaliperReader, Trial
from readers.contract import ReaderInfo
from readers.evaluation import Shot, calibration_error, shots
from training.draw import Array
from utils.image_processing import open_photo

OPEN = Thresholds(presence=-99.0, fit=-99.0, confidence=0.0)
START = Calibration(Noise(1.0, 0.05), (*(0.0 for _ in FIGURES), 0.0), 1.0)
TEMPERATURES = (0.5, 0.7, 0.85, 1.0, 1.2, 1.5)
SHIFTS_MM = (0.0, 0.03, 0.06, 0.09, 0.13, 0.18)
SLOPES_MM = (0.0, 0.03, 0.06, 0.09, 0.13, 0.18)
LEAST_CONFIDENCE = 0.10
UNRANKED = 1e-3
RIDGE = 0.02


@dataclass(frozen=True, slots=True)
class Tried:
    """One photo and what the networks made of it (None: no blade found)."""

    shot: Shot
    trial: Trial | None


def try_all(folder: Path, photos: list[Shot]) -> list[Tried]:
    """Runs the networks over every photo, refusing nothing."""
    reader = CaliperReader(Networks(folder), ReaderInfo("caliper", "0", "caliper", tuple(CUTS_OF), ""), START, OPEN)
    return [Tried(shot, reader.sight(open_photo(shot.path.read_bytes()).pixels)) for shot in photos]


def _read_right(tried: list[Tried]) -> list[tuple[Trial, tuple[int, ...]]]:
    """Trials on readable keys whose keyway was told right, with the true codes."""
    return [(one.trial, one.shot.codes) for one in tried if one.trial and one.shot.codes and one.trial.keyway.name == one.shot.keyway]


def fit_noise(tried: list[Tried]) -> Noise:
    """The temperature and common drift under which the true codes are likeliest; a code that is not ranked counts as UNRANKED likely, so
    that wrong poses do not decide."""

    trials = _read_right(tried)

    def surprise(noise: Noise) -> float:
        losses = []
        for trial, codes in trials:
            ranked = dict(decode(trial.keyway, trial.depths_mm, trial.log_spread, noise).ranked)
            losses.append(-math.log(max(UNRANKED, ranked.get(codes, 0.0))))
        return sum(losses) / len(losses)

    return min((Noise(*each) for each in itertools.product(TEMPERATURES, SHIFTS_MM, SLOPES_MM)), key=surprise)


def fit_kind_temperature(tried: list[Tried]) -> float:
    """The temperature under which the true kinds are likeliest."""
    rows = [(one.trial.sighting.measured.kinds, one.shot.keyway) for one in tried if one.trial and one.shot.keyway in KINDS]

    def surprise(temperature: float) -> float:
        return -sum(math.log(max(1e-9, kind_probabilities(logits, temperature)[kind])) for logits, kind in rows)

    return min((0.5, 0.7, 1.0, 1.4, 2.0, 2.8), key=surprise)


def outcomes(tried: list[Tried], calibration: Calibration) -> tuple[Array, Array]:
    """Figures (n, 4) of every readable key's trial and whether the whole code came out right (n,)."""
    rows, right = [], []
    for one in tried:
        if one.trial is None or one.shot.codes is None:
            continue
        trial = one.trial
        decoding = decode(trial.keyway, trial.depths_mm, trial.log_spread, calibration.noise)
        kinds = kind_probabilities(trial.sighting.measured.kinds, calibration.kind_temperature)
        rows.append(figures(decoding, trial.sighting.measured, trial.log_spread, kinds[trial.kind]))
        right.append(trial.keyway.name == one.shot.keyway and decoding.ranked[0][0] == one.shot.codes)
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
        bend = (design * (chance * (1 - chance))[:, None]).T @ design + penalty + 1e-6 * np.eye(len(weights))
        weights = weights + np.linalg.solve(bend, slope)
    plain = weights[:-1] / scale
    return (*(round(float(w), 5) for w in plain), round(float(weights[-1] - (plain * mean).sum()), 5))


def fit_thresholds(tried: list[Tried]) -> Thresholds:
    """Presence and fit logits that lose the fewest pictures: keys taken for none, and none taken for keys (counted threefold)."""
    keys = [one.trial for one in tried if one.trial and one.shot.keyway != "none"]
    none = [one.trial for one in tried if one.trial and one.shot.keyway == "none"]

    def loss(limit: float, of: str) -> int:
        def value(trial: Trial) -> float:
            return trial.sighting.presence if of == "presence" else trial.sighting.measured.fit

        return sum(value(t) < limit for t in keys) + 3 * sum(value(t) >= limit for t in none)

    grid = [round(x * 0.25, 2) for x in range(-24, 17)]
    return Thresholds(min(grid, key=lambda x: loss(x, "presence")), min(grid, key=lambda x: loss(x, "fit")), LEAST_CONFIDENCE)


def write_manifest(folder: Path, version: str, calibration: Calibration, thresholds: Thresholds, claims: dict[str, str]) -> None:
    """Writes manifest.toml: names, hashes, calibration and what was measured."""
    hashes = {f"{name}.onnx": hashlib.sha256((folder / f"{name}.onnx").read_bytes()).hexdigest() for name in NETWORKS}
    lines = [
        'name = "caliper"', f'version = "{version}"', 'kind = "caliper"', 'licence = "MIT"', 'made_by = "make train"',
        f"keyways = {list(CUTS_OF)!r}".replace("'", '"'), 'depth_scale = "maker"', 'trained_on = "drawn photos only (training/render.py)"',
        "", "[files]", *(f'"{name}" = "{digest}"' for name, digest in hashes.items()),
        "", "[calibration]", f"temperature = {calibration.noise.temperature}", f"shift_mm = {calibration.noise.shift_mm}",
        f"slope_mm = {calibration.noise.slope_mm}",
        f"kind_temperature = {calibration.kind_temperature}", f"weights = {list(calibration.weights)}  # {', '.join(FIGURES)}, constant",
        "", "[thresholds]", f"presence = {thresholds.presence}", f"fit = {thresholds.fit}", f"confidence = {thresholds.confidence}",
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
    cv2.setNumThreads(1)
    tried = try_all(options.model, shots(options.photos))
    fitted, kept = tried[::2], tried[1::2]
    noise, temperature = fit_noise(fitted), fit_kind_temperature(fitted)
    half = Calibration(noise, START.weights, temperature)
    calibration = Calibration(noise, fit_logistic(*outcomes(fitted, half)), temperature)
    rows, right = outcomes(kept, calibration)
    sure = [(confidence(tuple(row), calibration.weights), bool(hit)) for row, hit in zip(rows, right, strict=True)]
    claims = {"photos": str(len(rows)), "whole_code": f"{right.mean():.4f}", "calibration_error": str(calibration_error(sure))}
    write_manifest(options.model, options.version, calibration, fit_thresholds(fitted), claims)
    print((options.model / "manifest.toml").read_text())


if __name__ == "__main__":
    main()
