"""Tests of fitting a calibration to simulated results of a model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from keylike.readers.evaluation import calibration_error
from keylike.readers.gemma.confidence import code_probability
from keylike.readers.gemma.fit import (
    MIN_ROWS,
    MIN_ROWS_ISOTONIC,
    Row,
    cross_fit,
    fit,
    fit_isotonic,
    fit_temperature,
    log_loss,
)
from keylike.readers.gemma.manifest import Isotonic, Temperature
from keylike.readers.gemma.model_output import Choice, Slot

PROBABILITIES = [step / 40 for step in range(2, 39)]


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the softmax along the last axis."""
    powers: NDArray[np.float64] = np.exp(logits - logits.max(-1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(-1, keepdims=True)
    return shares


def overconfident(count: int, factor: float, seed: int = 7) -> list[Row]:
    """Return scored codes of a simulated model, and if each of them is correct.

    The logits of the model are the true ones times `factor`, so it is overconfident above 1.
    """
    draws = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        logits = draws.normal(0, 2.5, (5, 10)) + np.eye(10)[
            draws.integers(0, 10, 5)
        ] * draws.uniform(0, 8)
        true, scored = softmax(logits), softmax(logits * factor)
        truth = [draws.choice(10, p=p / p.sum()) for p in true]
        taken = scored.argmax(1)
        slots = tuple(
            Slot(tuple(map(float, p)), int(best)) for p, best in zip(scored, taken, strict=True)
        )
        rows.append((Choice("SC1", tuple(map(int, taken)), slots), bool((truth == taken).all())))
    return rows


def stepped(count: int) -> list[Row]:
    """Return results of which 20 % are correct below probability 0.5, and 80 % above."""
    draws = np.random.default_rng(3)
    probabilities = draws.uniform(0.02, 0.98, count)
    right = draws.uniform(0, 1, count) < np.where(probabilities < 0.5, 0.2, 0.8)
    return [
        (single_cut(float(p)), bool(correct))
        for p, correct in zip(probabilities, right, strict=True)
    ]


def single_cut(probability: float) -> Choice:
    """Return a scored code with a single cut of this probability."""
    return Choice("SC1", (4,), (Slot((probability, 1 - probability), 0),))


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_fit_finds_the_temperature_of_simulated_results(factor: float) -> None:
    rows = overconfident(600, factor)
    found = fit(rows)
    assert isinstance(found, Temperature)
    assert found.temperature == pytest.approx(factor, rel=0.15)
    assert found.fitted_on == 600
    assert found.error is not None and found.error < 0.06


def test_fitted_temperature_minimises_the_penalised_loss() -> None:
    rows = overconfident(80, 1.5)

    def penalised_loss(temperature: float) -> float:
        return (
            80
            * log_loss([(choice.at_temperature(temperature), correct) for choice, correct in rows])
            + math.log(temperature) ** 2 / 2
        )

    best = fit_temperature(rows).temperature
    assert penalised_loss(best) <= min(penalised_loss(best * 1.05), penalised_loss(best / 1.05))


def test_fitted_calibration_improves_new_results_of_an_overconfident_model() -> None:
    fitted, fresh = fit(overconfident(400, 3.0)), overconfident(400, 3.0, seed=8)
    before = [(choice.probability, correct) for choice, correct in fresh]
    after = [(code_probability(choice, fitted), correct) for choice, correct in fresh]
    assert log_loss(after) < 0.6 * log_loss(before)
    gap_before, gap_after = calibration_error(before), calibration_error(after)
    assert gap_before is not None and gap_after is not None
    assert gap_after < gap_before / 2


def test_isotonic_calibration_is_chosen_for_a_step_in_accuracy() -> None:
    rows = stepped(800)
    found = fit(rows)
    assert isinstance(found, Isotonic)

    def gap(curve: Temperature | Isotonic) -> float:
        return math.fsum(
            abs(code_probability(single_cut(p), curve) - (0.2 if p < 0.5 else 0.8))
            for p in PROBABILITIES
        ) / len(PROBABILITIES)

    assert gap(found) < 0.07
    assert gap(found) < gap(fit_temperature(rows)) / 2


def test_isotonic_calibration_is_never_chosen_for_few_photos() -> None:
    assert isinstance(fit(stepped(MIN_ROWS_ISOTONIC - 1)), Temperature)


def test_isotonic_calibration_never_predicts_zero_or_one() -> None:
    found = fit_isotonic(
        [(single_cut(0.1), False)] * 50
        + [(single_cut(0.8), False)]
        + [(single_cut(0.9), True)] * 50
    )
    assert [y for _, y in found.points] == pytest.approx(
        [1 / 53, 1 / 53, 51 / 52, 51 / 52], abs=1e-6
    )
    assert [x for x, _ in found.points] == [0.1, 0.8, 0.9, 0.9]


def test_isotonic_calibration_of_equal_probabilities_is_constant() -> None:
    found = fit_isotonic([(single_cut(0.5), i % 4 == 0) for i in range(98)])
    assert found.points == ((0.5, 0.26), (0.5, 0.26))
    assert code_probability(single_cut(0.9), found) == 0.26


def test_cross_validated_predictions_come_from_other_folds() -> None:
    rows = stepped(200)
    found = cross_fit(rows)
    assert found == cross_fit(rows)
    assert found.calibration.error == calibration_error(
        list(zip(found.predicted, (correct for _, correct in rows), strict=True))
    )
    assert any(
        code_probability(choice, found.calibration) != p
        for (choice, _), p in zip(rows, found.predicted, strict=True)
    )


def test_temperature_of_a_few_correct_photos_stays_near_one() -> None:
    fitted = single_cut(0.9).at_temperature(
        fit_temperature([(single_cut(0.9), True)] * 20).temperature
    )
    assert 0.95 < fitted < 0.999


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], f"label {MIN_ROWS} more"),
        ([(single_cut(0.5), True)] * 12, "label 8 more"),
        ([(single_cut(0.5), True)] * 30, "harder"),
        ([(single_cut(0.5), False)] * 30, "easier"),
    ],
)
def test_fit_raises_for_too_few_results_or_if_all_are_right_or_wrong(
    rows: list[Row], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit(rows)
