"""Fits calibration and thresholds of the caliper (the embedded reader), and writes its manifest.

Usage: `python -m tools.training.calibrate MODEL PHOTOS --version 1.3.0`. PHOTOS is a folder of
rendered photos (tools.training.render): keys of all kinds, several keys, and pictures without a
key. No network was trained on them.

The accuracy in the manifest is cross-validated: the calibration is fitted on each half of the
photos and measured on the other half. The shipped calibration is fitted on both halves. Keys of
families that the reader does not support are included, so the confidence is the fraction of
correct codes among all codes that the reader returns.
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
from keylike.readers.caliper.locate import PoseFit, alternative_poses, find, initial_poses
from keylike.readers.caliper.manifest import NEVER, Calibration, Thresholds
from keylike.readers.caliper.networks import CUTS_OF, KINDS, NETWORKS, Networks, files_of
from keylike.readers.caliper.reader import SEVERAL_IN_DOUBT, Analysis, CaliperReader
from keylike.readers.caliper.second_key import second_key
from keylike.readers.contract import ReaderInfo
from keylike.readers.evaluation import Shot, calibration_error, shots
from tools.training.draw import Array

# Thresholds that refuse nothing.
OPEN = Thresholds(presence=-99.0, fit=-99.0, other=1.1, evidence=-99.0, confidence=0.0)
# The calibration before anything is fitted.
START = Calibration(Noise(1.0, 0.05), (*(0.0 for _ in FIGURES), 0.0), 1.0)
# Values that are tried for the noise: factor on the networks' spread, standard deviation of the
# shift that all cuts share (mm), and of the depth error that grows from bow to tip (mm).
TEMPERATURES = (0.7, 0.85, 1.0, 1.2)
SHIFTS_MM = (0.06, 0.09, 0.13, 0.18)
SLOPES_MM = (0.03, 0.06, 0.09)
# Number of keys that the noise is fitted on. Each key is decoded in every pose for every
# combination of the three values above, so more keys would take too long.
NOISE_CASES = 72
# Probability that is assumed for a true code which is not among the ranked codes.
UNRANKED = 1e-3
# Thresholds that only refuse pictures without a blade. Presence and fit are logits, evidence is a
# log density per cut. They were fitted for version 1.2.0 (docs/LOG.md).
PRESENCE, FIT, EVIDENCE = -1.0, 4.0, -3.4
# Values that are tried for the other thresholds: probability of another family, confidence, and
# logit of several keys.
OTHER = (0.16, 0.2, 0.24, 0.28, 0.32, 0.36, 0.4, 0.5)
CONFIDENCE = (0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6)
SEVERAL = tuple(round(-1 + 0.5 * x, 2) for x in range(12))
# Largest fraction of the correct codes that the threshold for several keys may refuse.
MOST_LOST = 0.02
# Cost of a wrong code, where refusing one correct code costs 1: for a key that has no readable
# code, and for a readable key that is misread.
FALSE_CODE, MISREAD = 5.0, 1.0
RIDGE = 0.02  # strength of the ridge penalty in `fit_logistic`

_NO_STRIP = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Case:
    """One photo with the networks' results for every pose that the reader may try.

    The pictures of the straightened blade are dropped to save memory.
    """

    shot: Shot
    initial: list[PoseFit]
    alternatives: list[list[PoseFit]]
    second: bool = False

    def analysis(self, calibration: Calibration) -> Analysis | None:
        """Return the reader's analysis under this calibration."""
        return _reader(calibration).refine(self.initial, self.alternatives)


@dataclass(frozen=True, slots=True)
class Judged:
    """One photo and the reader's analysis of it under one calibration."""

    shot: Shot
    analysis: Analysis
    second: bool = False

    @property
    def right(self) -> bool:
        """Return True if the keyway and the most probable code are correct."""
        found = (self.analysis.keyway.name, self.analysis.decoding.ranked[0][0])
        return found == (self.shot.keyway, self.shot.codes)

    @property
    def readable(self) -> bool:
        """Return True if the most probable kind has a code. Then only thresholds can refuse it."""
        return self.analysis.likeliest in CUTS_OF

    def within(self, limits: Thresholds, calibration: Calibration) -> bool:
        """Return True if the reader returns a code under these thresholds."""
        fit, kinds = self.analysis.fit, self.analysis.kinds
        return (
            self.readable
            and fit.rough.presence >= limits.presence
            and fit.measured.fit >= limits.fit
            and kinds["other"] < limits.other
            and self.analysis.decoding.evidence >= limits.evidence
            and confidence(self.analysis.figures, calibration.weights) >= limits.confidence
            and fit.rough.several < limits.several - SEVERAL_IN_DOUBT * self.second
        )


class _NoNetworks(Networks):
    """Placeholder for the networks of a reader that gets their results from elsewhere."""

    def __init__(self) -> None:
        pass


@functools.cache
def _reader(calibration: Calibration) -> CaliperReader:
    return CaliperReader(
        _NoNetworks(), ReaderInfo("caliper", "0", "caliper", tuple(CUTS_OF), ""), calibration, OPEN
    )


def cases(folder: Path, photos: list[Shot]) -> list[Case]:
    """Run the networks of a folder over every photo without refusing anything."""
    networks = Networks(files_of(folder))
    return [_case(networks, shot) for shot in photos]


def _case(networks: Networks, shot: Shot) -> Case:
    picture = open_photo(shot.path.read_bytes()).pixels
    rough = find(networks, picture, OPEN.presence)
    if rough is None:
        return Case(shot, [], [])
    initial = initial_poses(networks, picture, rough)
    groups = alternative_poses(networks, picture, rough, initial)
    case = Case(shot, _without_strips(initial), [_without_strips(group) for group in groups])
    analysis = case.analysis(START)
    second = analysis is not None and second_key(networks, picture, analysis.fit.pose)
    return replace(case, second=second)


def _without_strips(fits: list[PoseFit]) -> list[PoseFit]:
    return [replace(one, strip=_NO_STRIP) for one in fits]


def halves(found: list[Case]) -> tuple[list[Case], list[Case]]:
    """Split the photos into two halves, each with half of the photos of every kind.

    The kinds of the photos alternate, so taking every second photo of the whole list would leave
    some kinds out of one half.
    """
    by_kind: dict[str, list[Case]] = {}
    for one in found:
        by_kind.setdefault(one.shot.keyway, []).append(one)
    rows = by_kind.values()
    return [one for row in rows for one in row[::2]], [one for row in rows for one in row[1::2]]


def judged(found: list[Case], calibration: Calibration) -> list[Judged]:
    """Return the analyses under this calibration, of the photos in which a blade was found."""
    pairs = ((one, one.analysis(calibration)) for one in found)
    return [
        Judged(one.shot, analysis, one.second) for one, analysis in pairs if analysis is not None
    ]


def fit_noise(found: list[Case], kind_temperature: float) -> Noise:
    """Return the noise under which the true codes are most probable.

    A true code that is not ranked counts with probability UNRANKED. Otherwise a few photos with a
    wrong pose would determine the result.
    """
    keys = [one for one in found if one.shot.codes]
    # The keys are sorted by kind, so an even selection contains all kinds.
    keys = keys[:: max(1, len(keys) // NOISE_CASES)]

    def surprise(noise: Noise) -> float:
        chances = (
            _chance(one, Calibration(noise, START.weights, kind_temperature)) for one in keys
        )
        return -sum(math.log(max(UNRANKED, chance)) for chance in chances)

    return min(
        (Noise(*each) for each in itertools.product(TEMPERATURES, SHIFTS_MM, SLOPES_MM)),
        key=surprise,
    )


def _chance(one: Case, calibration: Calibration) -> float:
    """Return the probability that the decoding gives the true code."""
    analysis = one.analysis(calibration)
    if analysis is None or analysis.keyway.name != one.shot.keyway:
        return 0.0
    return next(
        (chance for code, chance in analysis.decoding.ranked if code == one.shot.codes), 0.0
    )


def fit_kind_temperature(found: list[Case]) -> float:
    """Return the softmax temperature of the kinds under which the true kinds are most probable."""
    rows = [
        (one.initial[0].measured.kinds, one.shot.keyway)
        for one in found
        if one.initial and one.shot.keyway in KINDS
    ]

    def surprise(temperature: float) -> float:
        return -sum(
            math.log(max(1e-9, kind_probabilities(logits, temperature)[kind]))
            for logits, kind in rows
        )

    return min((0.5, 0.7, 1.0, 1.4, 2.0, 2.8), key=surprise)


def fit_logistic(rows: Array, right: Array) -> tuple[float, ...]:
    """Fit a logistic regression with Newton's method; return the weights, then the constant.

    Args:
        rows: Features, (n, features).
        right: 1 for a correct code, else 0, (n,).
    """
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


def fit_weights(rows: list[Judged]) -> tuple[float, ...]:
    """Fit the weights of the confidence on these photos.

    Keys without a readable code are included. Any code that the reader returns for them is wrong.
    """
    figures = np.array([one.analysis.figures for one in rows])
    return fit_logistic(figures, np.array([one.right for one in rows], float))


def fit_limits(rows: list[Judged], start: Calibration) -> tuple[Calibration, Thresholds]:
    """Fit the weights of the confidence and the thresholds together on these photos.

    For each value in OTHER, the weights are fitted on the codes that pass it, because the
    confidence describes only codes that are returned. The result has the lowest total cost: the
    number of correct codes refused, plus the cost of the wrong codes returned.

    Args:
        rows: Analysed photos.
        start: Calibration with the fitted noise and kind temperature.
    """
    least, best = math.inf, (start, OPEN)
    right = sum(one.right for one in rows)
    for other in OTHER:
        limits = Thresholds(PRESENCE, FIT, other, EVIDENCE, 0.0)
        limits = replace(limits, several=_several_limit(rows, limits, start))
        given = [one for one in rows if one.within(limits, start)]
        fitted = replace(start, weights=fit_weights(given))
        for least_confidence in CONFIDENCE:
            chosen = replace(limits, confidence=least_confidence)
            told = [one for one in given if one.within(chosen, fitted)]
            false = [one for one in told if not one.right]
            cost = sum(FALSE_CODE if one.shot.codes is None else MISREAD for one in false)
            lost = right - (len(told) - len(false)) + cost
            if lost < least:
                least, best = lost, (fitted, chosen)
    return best


def _several_limit(rows: list[Judged], limits: Thresholds, start: Calibration) -> float:
    """Return the lowest threshold for several keys that refuses few of the correct codes.

    It refuses at most the fraction MOST_LOST of them.
    """
    right = [one for one in rows if one.right and one.within(limits, start)]
    for limit in SEVERAL:
        lost = sum(not one.within(replace(limits, several=limit), start) for one in right)
        if lost <= MOST_LOST * len(right):
            return limit
    return NEVER


def write_manifest(
    folder: Path,
    version: str,
    calibration: Calibration,
    thresholds: Thresholds,
    claims: dict[str, str],
) -> None:
    """Write manifest.toml: names, hashes, calibration, thresholds and measured accuracy."""
    hashes = {
        f"{name}.onnx": hashlib.sha256((folder / f"{name}.onnx").read_bytes()).hexdigest()
        for name in NETWORKS
    }
    lines = [
        'name = "caliper"', f'version = "{version}"', 'kind = "caliper"', 'licence = "MIT"', 'made_by = "make train"',
        f"keyways = {list(CUTS_OF)!r}".replace("'", '"'), 'depth_scale = "maker"', 'trained_on = "drawn photos only (tools/training/render.py)"',
        "", "[files]", *(f'"{name}" = "{digest}"' for name, digest in hashes.items()),
        "", "[calibration]", f"temperature = {calibration.noise.temperature}", f"shift_mm = {calibration.noise.shift_mm}",
        f"slope_mm = {calibration.noise.slope_mm}",
        f"kind_temperature = {calibration.kind_temperature}", f"weights = {list(calibration.weights)}  # {', '.join(FIGURES)}, constant",
        "", "[thresholds]", *(f"{key} = {value}" for key, value in asdict(thresholds).items()),
        "", "[measured]  # on drawn photos that were neither trained nor fitted on", *(f"{key} = {value}" for key, value in claims.items()),
    ]  # fmt: skip
    (folder / "manifest.toml").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--version", required=True)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    configure_image_libraries()
    fitted, kept = halves(cases(options.model, shots(options.photos)))
    temperature = fit_kind_temperature(fitted)
    noise = fit_noise(fitted, temperature)
    start = Calibration(noise, START.weights, temperature)
    first, second = judged(fitted, start), judged(kept, start)
    told: list[Judged] = []
    sure: list[tuple[float, bool]] = []
    for half, other in ((first, second), (second, first)):
        fit, limits = fit_limits(half, start)
        given = [one for one in other if one.within(limits, fit)]
        told += given
        sure += [(confidence(one.analysis.figures, fit.weights), one.right) for one in given]
    found = [*fitted, *kept]
    readable = sum(one.shot.codes is not None for one in found)
    claims = {
        "photos": str(len(found)),
        "readable": str(readable),
        "whole_code": f"{sum(one.right for one in told) / readable:.4f}",
        "false_codes": str(sum(not one.right for one in told)),
        "calibration_error": str(calibration_error(sure)),
    }
    # The claims are cross-validated between the halves. The shipped calibration uses both halves.
    shipped = fit_limits([*first, *second], start)
    write_manifest(options.model, options.version, *shipped, claims)
    print((options.model / "manifest.toml").read_text())


if __name__ == "__main__":
    main()
