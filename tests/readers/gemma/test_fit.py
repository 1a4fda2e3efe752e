"""Fitting: what is put into made-up photos is found again, and too little is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from keylike.readers.evaluation import calibration_error
from keylike.readers.gemma.confidence import whole
from keylike.readers.gemma.fit import (
    FEWEST,
    FEWEST_ISOTONIC,
    Row,
    cross_fit,
    fit,
    fit_isotonic,
    fit_temperature,
    log_loss,
)
from keylike.readers.gemma.manifest import Isotonic, Temperature
from keylike.readers.gemma.model_output import Choice, Slot

CHANCES = [step / 40 for step in range(2, 39)]


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Along the last axis."""
    raised: NDArray[np.float64] = np.exp(logits - logits.max(-1, keepdims=True))
    shares: NDArray[np.float64] = raised / raised.sum(-1, keepdims=True)
    return shares


def overconfident(count: int, factor: float, seed: int = 7) -> list[Row]:
    """Five cuts drawn from honest probabilities; the model's logits are those of the honest ones times `factor`."""
    draws = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        logits = draws.normal(0, 2.5, (5, 10)) + np.eye(10)[
            draws.integers(0, 10, 5)
        ] * draws.uniform(0, 8)
        honest, said = softmax(logits), softmax(logits * factor)
        truth = [draws.choice(10, p=p / p.sum()) for p in honest]
        taken = said.argmax(1)
        slots = tuple(
            Slot(tuple(map(float, p)), int(best)) for p, best in zip(said, taken, strict=True)
        )
        rows.append((Choice("SC1", tuple(map(int, taken)), slots), bool((truth == taken).all())))
    return rows


def stepped(count: int) -> list[Row]:
    """Right in 2 of 10 below one half and in 8 of 10 above, however sure the model was."""
    draws = np.random.default_rng(3)
    chances = draws.uniform(0.02, 0.98, count)
    right = draws.uniform(0, 1, count) < np.where(chances < 0.5, 0.2, 0.8)
    return [(one(float(p)), bool(hit)) for p, hit in zip(chances, right, strict=True)]


def one(chance: float) -> Choice:
    """A code of a single cut."""
    return Choice("SC1", (4,), (Slot((chance, 1 - chance), 0),))


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_temperature_put_in_is_found_again(factor: float) -> None:
    rows = overconfident(600, factor)
    found = fit(rows)
    assert isinstance(found, Temperature)
    assert found.temperature == pytest.approx(factor, rel=0.15)
    assert found.fitted_on == 600
    assert found.error is not None and found.error < 0.06


def test_the_fitted_temperature_is_the_least_surprising_one_of_choice_at() -> None:
    rows = overconfident(80, 1.5)

    def surprise(temperature: float) -> float:
        return (
            80 * log_loss([(choice.at(temperature), hit) for choice, hit in rows])
            + math.log(temperature) ** 2 / 2
        )

    best = fit_temperature(rows).temperature
    assert surprise(best) <= min(surprise(best * 1.05), surprise(best / 1.05))


def test_fitting_mends_an_overconfident_model_on_photos_it_never_saw() -> None:
    fitted, fresh = fit(overconfident(400, 3.0)), overconfident(400, 3.0, seed=8)
    before = [(choice.probability, hit) for choice, hit in fresh]
    after = [(whole(choice, fitted), hit) for choice, hit in fresh]
    assert log_loss(after) < 0.6 * log_loss(before)
    gap_before, gap_after = calibration_error(before), calibration_error(after)
    assert gap_before is not None and gap_after is not None
    assert gap_after < gap_before / 2


def test_an_isotonic_line_wins_where_no_temperature_can_follow() -> None:
    rows = stepped(800)
    found = fit(rows)
    assert isinstance(found, Isotonic)

    def gap(curve: Temperature | Isotonic) -> float:
        return math.fsum(
            abs(whole(one(p), curve) - (0.2 if p < 0.5 else 0.8)) for p in CHANCES
        ) / len(CHANCES)

    assert gap(found) < 0.07
    assert gap(found) < gap(fit_temperature(rows)) / 2


def test_few_photos_get_a_temperature_alone() -> None:
    assert isinstance(fit(stepped(FEWEST_ISOTONIC - 1)), Temperature)


def test_no_point_of_an_isotonic_line_promises_all_or_nothing() -> None:
    found = fit_isotonic([(one(0.1), False)] * 50 + [(one(0.8), False)] + [(one(0.9), True)] * 50)
    assert [y for _, y in found.points] == pytest.approx(
        [1 / 53, 1 / 53, 51 / 52, 51 / 52], abs=1e-6
    )
    assert [x for x, _ in found.points] == [0.1, 0.8, 0.9, 0.9]


def test_equal_probabilities_make_one_flat_line() -> None:
    found = fit_isotonic([(one(0.5), i % 4 == 0) for i in range(98)])
    assert found.points == ((0.5, 0.26), (0.5, 0.26))
    assert whole(one(0.9), found) == 0.26


def test_what_was_promised_comes_from_the_other_folds() -> None:
    rows = stepped(200)
    found = cross_fit(rows)
    assert found == cross_fit(rows)
    assert found.calibration.error == calibration_error(
        list(zip(found.promised, (hit for _, hit in rows), strict=True))
    )
    assert any(
        whole(choice, found.calibration) != p
        for (choice, _), p in zip(rows, found.promised, strict=True)
    )


def test_few_photos_without_a_mistake_do_not_drive_the_temperature_to_an_end() -> None:
    sure = one(0.9).at(fit_temperature([(one(0.9), True)] * 20).temperature)
    assert 0.95 < sure < 0.999


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], f"label {FEWEST} more"),
        ([(one(0.5), True)] * 12, "label 8 more"),
        ([(one(0.5), True)] * 30, "harder"),
        ([(one(0.5), False)] * 30, "easier"),
    ],
)
def test_too_little_is_refused_and_says_what_is_missing(rows: list[Row], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit(rows)
