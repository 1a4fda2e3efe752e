"""Tests of fitting the caliper's calibration and limits, on simulated measurements."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from keylike.keys.keyways import keyway
from keylike.readers.caliper.confidence import FIGURES, confidence
from keylike.readers.caliper.decode import Decoding, Noise
from keylike.readers.caliper.locate import PoseFit, Rough
from keylike.readers.caliper.manifest import Calibration, thresholds_of
from keylike.readers.caliper.networks import KINDS, Measured
from keylike.readers.caliper.reader import Analysis
from keylike.readers.evaluation import Shot, calibration_error
from tools.training.calibrate import START, Judged, fit_limits, fit_weights

CODE, OTHER_CODE = (1, 2, 3, 4, 5), (1, 2, 3, 4, 6)


def judged(
    rng: np.random.Generator, family: str, several: float = -5.0, other: float = 0.05
) -> Judged:
    """Return a simulated key: its measurements look better if its code is right.

    A foreign key looks tilted, and a little like a key of another family.

    Args:
        rng: Source of random numbers.
        family: True family of the key.
        several: Logit that the photo shows several keys.
        other: Probability of another family.
    """
    quality = rng.normal()
    right = family == "SC1" and quality + 0.5 * rng.normal() > -0.8
    foreign = family == "other"
    tilt = 2.5 + 0.3 * rng.normal() if foreign else abs(rng.normal())
    chance = {kind: (1 - other) / 20 for kind in KINDS} | {"SC1": 0.8 - other, "other": other}
    logits = (2 * quality, -quality, 6.0, 1.0, quality / 4, float(np.log(other)), tilt, 0.5)
    decoding = Decoding(
        (((CODE if right or foreign else OTHER_CODE), 0.9),), np.zeros((5, 10)), quality / 4
    )
    measured = Measured(
        np.zeros((2, 96)), np.zeros(11), np.zeros(11), np.zeros(6), 6.0, np.zeros((4, 2))
    )
    fit = PoseFit(
        np.eye(3), np.zeros((1, 1, 3), np.uint8), measured, Rough(np.eye(3), 5.0, several)
    )
    analysis = Analysis(
        fit, chance, "SC1", keyway("SC1"), np.zeros(5), np.zeros(5), decoding, logits
    )
    codes = CODE if family == "SC1" else None
    return Judged(Shot(Path("a.jpg"), family, codes, "easy"), analysis)


@pytest.fixture(scope="module")
def rows() -> list[Judged]:
    rng = np.random.default_rng(0)
    found = [judged(rng, "SC1") for _ in range(300)]
    found += [judged(rng, "other", other=0.3) for _ in range(60)]
    found += [judged(rng, "other", other=0.1) for _ in range(40)]
    return found + [judged(rng, "several", several=3.0) for _ in range(40)]


def calibration(rows: list[Judged]) -> Calibration:
    return Calibration(Noise(1.0, 0.09, 0.09), fit_weights(rows), 1.0)


def test_fitted_confidence_is_lower_for_foreign_keys(rows: list[Judged]) -> None:
    fitted = calibration(rows)
    chances = [confidence(one.analysis.figures, fitted.weights) for one in rows]
    sure = [(chance, one.right) for chance, one in zip(chances, rows, strict=True)]
    assert (calibration_error(sure) or 0) < 0.1
    own = [chance for chance, right in sure if right]
    pairs = zip(chances, rows, strict=True)
    foreign = [chance for chance, one in pairs if one.shot.keyway == "other"]
    assert float(np.mean(own)) > float(np.mean(foreign)) + 0.4
    assert fitted.weights[FIGURES.index("tilt")] < 0


def test_fitted_limits_refuse_several_keys_and_foreign_keys(rows: list[Judged]) -> None:
    fitted, limits = fit_limits(rows, START)
    given = [one for one in rows if one.within(limits, fitted)]
    assert not [one for one in given if one.shot.keyway == "several"]
    assert sum(one.shot.keyway == "other" for one in given) <= 5
    right = sum(one.right for one in rows)
    assert sum(one.right for one in given) > 0.7 * right


def test_each_limit_alone_can_refuse_a_key(rows: list[Judged]) -> None:
    fitted, limits = fit_limits(rows, START)
    one = next(each for each in rows if each.right and each.within(limits, fitted))
    assert not one.within(replace(limits, presence=9.0), fitted)
    assert not one.within(replace(limits, fit=9.0), fitted)
    assert not one.within(replace(limits, other=0.0), fitted)
    assert not one.within(replace(limits, evidence=9.0), fitted)
    assert not one.within(replace(limits, confidence=1.0), fitted)
    assert not one.within(replace(limits, several=-9.0), fitted)


def test_older_manifest_has_no_limit_for_several_keys() -> None:
    names = ("presence", "fit", "other", "evidence", "confidence")
    assert thresholds_of({"thresholds": dict.fromkeys(names, 0.5)}).several > 1e6
    assert thresholds_of({"thresholds": dict.fromkeys((*names, "several"), 0.5)}).several == 0.5
