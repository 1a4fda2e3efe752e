"""Tests of turning the model's scores into a reading or a refusal."""

from __future__ import annotations

import dataclasses
import math

import pytest

from keylike.readers.contract import Reading, Reason, Unreadable
from keylike.readers.gemma.answer import answer
from keylike.readers.gemma.manifest import GemmaManifest, ReplyShape, Temperature
from keylike.readers.gemma.model_output import Choice, Scores, Slot, Trust

MANIFEST = GemmaManifest(name="tiny", version="1", kind="gemma-merged", keyways=("SC1", "KW1"))
FITTED = MANIFEST.model_copy(update={"calibration": Temperature(temperature=2.0, fitted_on=50)})


def choice(keyway: str, codes: tuple[int, ...], *probabilities: float) -> Choice:
    """Return a scored code whose cuts have these probabilities."""
    digits = tuple(Slot((probability, 1 - probability), 0) for probability in probabilities)
    return Choice(keyway, codes, digits, (Slot((0.9, 0.1), 0),))


FIRST = choice("SC1", (2, 5, 4, 7, 3), 0.99, 0.98, 0.97, 0.99, 0.8)
SECOND = choice("SC1", (2, 5, 4, 7, 4), 0.99, 0.98, 0.97, 0.99, 0.2)
OTHER = choice("KW1", (2, 5, 4, 7, 4), 0.9, 0.3, 0.5, 0.3, 0.5)
SCORES = Scores((FIRST, SECOND, OTHER), 0.0, 0.97, Trust.SLOTS)


def test_reading_without_calibration_has_the_probability_of_the_model() -> None:
    reading = answer(SCORES, MANIFEST, 20.0)
    assert isinstance(reading, Reading)
    assert (reading.keyway, reading.codes) == ("SC1", (2, 5, 4, 7, 3))
    assert reading.confidence == pytest.approx(0.9 * 0.99 * 0.98 * 0.97 * 0.99 * 0.8)
    assert not reading.calibrated
    assert [cut.depth for cut in reading.cuts] == [2, 5, 4, 7, 3]
    assert min(reading.cuts, key=lambda cut: cut.probability).position == 5
    assert reading.cuts[0].depth_mm == pytest.approx(8.509 - 2 * 0.381)
    assert [candidate.codes for candidate in reading.candidates] == [
        (2, 5, 4, 7, 3),
        (2, 5, 4, 7, 4),
    ]
    assert reading.quality.px_per_depth_step == pytest.approx(20 * 0.381)


def test_reading_with_calibration_has_a_calibrated_confidence() -> None:
    reading = answer(SCORES, FITTED, None)
    assert isinstance(reading, Reading)
    assert reading.calibrated
    assert reading.confidence == pytest.approx(FIRST.at_temperature(2.0))
    assert reading.confidence < FIRST.probability


def test_code_without_a_label_in_the_reply_is_never_calibrated() -> None:
    reading = answer(dataclasses.replace(SCORES, trust=Trust.LOOSE), FITTED, None)
    assert isinstance(reading, Reading)
    assert not reading.calibrated
    assert reading.confidence == pytest.approx(FIRST.probability)


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        (Scores((), 1.0, 1.0, Trust.LABELLED), Reason.NOT_A_KEY),
        (dataclasses.replace(SCORES, no_key=0.97), Reason.NOT_A_KEY),
        (Scores((), 0.0, 0.0, Trust.LOOSE), Reason.NO_CODE_IN_REPLY),
        (dataclasses.replace(SCORES, mass=0.2), Reason.NO_CODE_IN_REPLY),
        (dataclasses.replace(SCORES, choices=(OTHER,)), Reason.LOW_CONFIDENCE),
    ],
)
def test_scores_without_a_plausible_code_are_refused(scores: Scores, reason: Reason) -> None:
    refusal = answer(scores, MANIFEST, None)
    assert isinstance(refusal, Unreadable)
    assert refusal.reason is reason
    assert refusal.message and refusal.advice


def test_thresholds_of_the_manifest_decide_about_refusals() -> None:
    lenient = MANIFEST.model_copy(
        update={"reply": ReplyShape(least_mass=0.1, least_confidence=0.0)}
    )
    assert isinstance(answer(dataclasses.replace(SCORES, mass=0.2), lenient, None), Reading)
    faint = answer(dataclasses.replace(SCORES, choices=(OTHER,)), lenient, None)
    assert isinstance(faint, Reading)
    assert faint.confidence == pytest.approx(OTHER.probability)
    assert math.isclose(math.prod((0.9, 0.9, 0.3, 0.5, 0.3, 0.5)), faint.confidence)
