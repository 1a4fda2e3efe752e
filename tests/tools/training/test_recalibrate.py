"""The scale of the confidence, fitted on analyses with a known truth and on rendered blades."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs PyTorch: make test-gemma installs it")

from keylike.keys.keyways import keyway
from keylike.readers.caliper.decode import Noise
from keylike.readers.caliper.manifest import Calibration, Thresholds
from keylike.readers.evaluation import calibration_error
from tests.tools.training.test_calibrate import judged
from tools.training.calibrate import Judged, fit_weights
from tools.training.dataset import draw, load
from tools.training.recalibrate import analyses, claims, fit, rescale, scores, shot_of

MODEL = Path(__file__).resolve().parents[3] / "models" / "caliper"
pytestmark = pytest.mark.training
LIMITS = Thresholds(presence=-1.0, fit=4.0, other=0.36, evidence=-9.0, confidence=0.5, several=2.0)


@pytest.fixture(scope="module")
def rows() -> list[Judged]:
    rng = np.random.default_rng(3)
    return [judged(rng, "SC1") for _ in range(200)] + [judged(rng, "other") for _ in range(40)]


@pytest.fixture(scope="module")
def doubled(rows: list[Judged]) -> Calibration:
    """Return a calibration whose confidences are too extreme."""
    weights = tuple(2.5 * weight for weight in fit_weights(rows))
    return Calibration(Noise(1.0, 0.09, 0.09), weights, 1.0)


def error(rows: list[Judged], calibration: Calibration) -> float:
    chances = 1 / (1 + np.exp(-scores(rows, calibration.weights)))
    pairs = [(float(chance), one.right) for chance, one in zip(chances, rows, strict=True)]
    return calibration_error(pairs) or 0.0


def test_rescaling_corrects_the_confidences_but_keeps_their_order(
    rows: list[Judged], doubled: Calibration
) -> None:
    fitted = rescale(rows, doubled)
    assert error(rows, fitted) < 0.7 * error(rows, doubled)
    before, after = (np.argsort(scores(rows, each.weights)) for each in (doubled, fitted))
    assert (before == after).mean() > 0.95


def test_fit_changes_only_scale_shift_and_least_confidence(
    rows: list[Judged], doubled: Calibration
) -> None:
    fitted, limits = fit(rows, doubled, LIMITS)
    assert replace(limits, confidence=LIMITS.confidence) == LIMITS
    assert replace(fitted, weights=doubled.weights) == doubled


def test_claims_count_right_and_false_codes_of_held_out_tenths(
    rows: list[Judged], doubled: Calibration
) -> None:
    told = claims(rows, doubled, LIMITS)
    assert (told["photos"], told["readable"]) == ("240", "200")
    assert 0 < float(told["whole_code"]) <= 1
    assert int(told["false_codes"]) >= 0


def test_analyses_of_rendered_blades_have_kind_and_code(tmp_path: Path) -> None:
    draw("plates", tmp_path / "plates_00001", 5, 6)
    labels = load(tmp_path, "plates")[2]
    shots = [shot_of(labels, row) for row in range(6)]
    for shot in shots:
        assert shot.codes is None or len(shot.codes) == keyway(shot.keyway).cuts
    found = list(analyses(MODEL, tmp_path, range(6)))
    assert found
    assert all(one.shot in shots for one in found)
