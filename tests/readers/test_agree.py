"""Tests of combining the results of two readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from hypothesis import assume, given
from hypothesis import strategies as st

from keylike.errors import Overloaded
from keylike.images.photo import Photo, open_photo
from keylike.readers.agree import (
    AgreeingReader,
    Outcome,
    agreement_probability,
    fit_shared_error,
    rival_probabilities,
    with_confidence,
)
from keylike.readers.contract import (
    Candidate,
    Cut,
    CutLine,
    Drawing,
    Quality,
    Reader,
    ReaderInfo,
    Reading,
    Reason,
    Unreadable,
)
from keylike.readers.loading import agreeing
from keylike.service import create_app
from keylike.settings import Settings
from tests.contract import check_failure
from tests.fakes import ColourReader, FixedReader
from tests.log_text import log_text
from tools.plain_pictures import GREEN, plain

PHOTO = open_photo(plain())
CODES, OTHER = (2, 5, 4, 7, 3), (2, 5, 4, 6, 3)
DRAWING = Drawing(((0.0, 0.0), (1.0, 1.0)), (CutLine(1, (0.0, 0.0), (0.0, 1.0)),), (2, 2))
PROBABILITIES = st.floats(0, 1)


def reading(
    confidence: float,
    codes: tuple[int, ...] = CODES,
    keyway: str = "SC1",
    *,
    calibrated: bool = True,
    others: Sequence[Candidate] = (),
) -> Reading:
    """Return a reading whose cuts are more certain than the whole code."""
    cuts = tuple(
        Cut(position, depth, (1 + confidence) / 2, 7.0) for position, depth in enumerate(codes, 1)
    )
    return Reading(
        keyway,
        codes,
        confidence,
        calibrated,
        cuts,
        (Candidate(codes, confidence), *others),
        Quality(px_per_mm=9.0),
    )


def refusal(reason: Reason) -> Unreadable:
    """Return a refusal with this reason."""
    return Unreadable(reason, f"It is {reason}.", "Again.")


def read(
    first: Reading | Unreadable, second: Reading | Unreadable, c: float = 0.25, fitted: bool = True
) -> Reading | Unreadable:
    """Return the combined result of two readers with these results.

    `c` is the probability that two wrong codes are equal.
    """
    pair: Reader = AgreeingReader(
        FixedReader(first, "first"), FixedReader(second, "second"), c, fitted
    )
    (result,) = pair.read([PHOTO])
    return result


def read_code(
    first: Reading | Unreadable, second: Reading | Unreadable, c: float = 0.25, fitted: bool = True
) -> Reading:
    """Return the combined result, which must be a reading."""
    result = read(first, second, c, fitted)
    assert isinstance(result, Reading), result
    return result


@pytest.mark.parametrize(
    ("p", "q", "c", "expected"),
    [
        # Of 100 photos, both readers are right on 48, and both are wrong on 8, on 2 of these with
        # the same code. So they agree on 50, and 48 of these codes are right.
        (0.8, 0.6, 0.25, 48 / 50),
        (0.6, 0.8, 0.25, 48 / 50),
        # If both readers always make the same mistakes, two of them know no more than one.
        (0.5, 0.5, 1.0, 0.5),
        (0.8, 0.6, 0.0, 1.0),
        (0.1, 0.1, 0.5, 0.01 / (0.01 + 0.405)),
    ],
)
def test_equal_codes_have_the_probability_of_agreement(
    p: float, q: float, c: float, expected: float
) -> None:
    assert agreement_probability(p, q, c) == pytest.approx(expected)
    assert read_code(reading(p), reading(q), c).confidence == pytest.approx(expected)


def test_different_codes_have_the_probabilities_of_rivals() -> None:
    # Of 100 photos, only the first reader is right on 32 and only the second on 12. On 6 both are
    # wrong with different codes. So they disagree on 50.
    assert rival_probabilities(0.8, 0.6, 0.25) == pytest.approx((32 / 50, 12 / 50))
    assert rival_probabilities(1.0, 1.0, 0.25) == pytest.approx((0.5, 0.5), abs=1e-5)
    assert rival_probabilities(0.0, 0.0, 1.0) == pytest.approx((0.5, 0.5), abs=1e-5)


def test_likelier_of_two_different_codes_is_returned() -> None:
    confident, doubtful = reading(0.8), reading(0.6, OTHER)
    for result in (read_code(confident, doubtful), read_code(doubtful, confident)):
        assert (result.codes, [candidate.codes for candidate in result.candidates]) == (
            CODES,
            [CODES, OTHER],
        )
        assert [
            result.confidence,
            *(candidate.probability for candidate in result.candidates),
        ] == pytest.approx([0.64, 0.64, 0.24])


def test_cut_on_which_two_readers_differ_has_a_lower_probability() -> None:
    result = read_code(reading(0.8), reading(0.6, OTHER))
    # In 12 of 100 cases neither code is right. In half of these a given cut is right anyway.
    shared_cut, differing = 0.64 + 0.24 + 0.12 / 2, 0.64 + 0.12 / 2
    assert [cut.probability for cut in result.cuts] == pytest.approx(
        [shared_cut, shared_cut, shared_cut, differing, shared_cut]
    )


def test_two_different_unlikely_codes_are_refused() -> None:
    result = read(reading(0.5), reading(0.45, (1, 2, 3, 4, 5), "KW1"))
    assert isinstance(result, Unreadable)
    assert result.reason is Reason.READERS_DISAGREE
    assert [
        (opinion.model, opinion.keyway, opinion.codes, opinion.probability)
        for opinion in result.opinions
    ] == [
        ("first-2.0.0", "SC1", CODES, 0.5),
        ("second-2.0.0", "KW1", (1, 2, 3, 4, 5), 0.45),
    ]
    assert result.quality.px_per_mm == 9.0


def test_same_code_of_another_keyway_counts_as_a_different_code() -> None:
    result = read_code(reading(0.9), reading(0.6, keyway="SC4"))
    assert result.confidence < 0.9
    assert result.candidates == (Candidate(CODES, result.confidence),)
    # The code of the other keyway says nothing about the cuts of this one. A cut is right without
    # the whole code only if neither reader is right.
    (neither,) = {cut.probability - result.confidence for cut in result.cuts}
    assert neither == pytest.approx((1 - sum(rival_probabilities(0.9, 0.6, 0.25))) / 2)


NO_CODE = (Reason.NOT_A_KEY, Reason.SEVERAL_KEYS, Reason.NO_CUTS, Reason.UNSUPPORTED_KEYWAY)


@pytest.mark.parametrize("reason", Reason)
def test_code_and_refusal_are_combined_by_the_reason_of_the_refusal(reason: Reason) -> None:
    code = reading(0.7)
    for first, second, by in ((code, refusal(reason), "first"), (refusal(reason), code, "second")):
        result = read(first, second)
        if reason in NO_CODE:
            assert isinstance(result, Unreadable) and result.reason is Reason.READERS_DISAGREE
            assert [(opinion.model, opinion.codes) for opinion in result.opinions] == [
                (f"{by}-2.0.0", CODES)
            ]
        else:
            assert result is code


def test_first_of_two_refusals_is_returned() -> None:
    first = refusal(Reason.TOO_SMALL)
    assert read(first, refusal(Reason.NOT_A_KEY)) is first


def test_combined_reading_has_the_measurements_of_the_reader_with_a_drawing() -> None:
    plainly, drawn = reading(0.8), reading(0.6)
    cuts = tuple(Cut(cut.position, cut.depth, 0.9, 7.25) for cut in drawn.cuts)
    quality = Quality(px_per_mm=10.0, sharpness=0.5, tilt_deg=3.0)
    drawn = Reading("SC1", CODES, 0.6, True, cuts, drawn.candidates, quality, DRAWING)
    for result in (read_code(plainly, drawn), read_code(drawn, plainly)):
        assert (result.quality, result.drawing, result.cuts[0].depth_mm) == (quality, DRAWING, 7.25)
        assert result.confidence == pytest.approx(0.96)


@pytest.mark.parametrize(
    ("first_calibrated", "second_calibrated", "fitted"),
    [(True, True, True), (False, True, True), (True, False, True), (True, True, False)],
)
@pytest.mark.parametrize("codes", [CODES, OTHER])
def test_combined_reading_is_calibrated_only_if_all_inputs_are(
    first_calibrated: bool, second_calibrated: bool, fitted: bool, codes: tuple[int, ...]
) -> None:
    result = read_code(
        reading(0.9, calibrated=first_calibrated),
        reading(0.6, codes, calibrated=second_calibrated),
        fitted=fitted,
    )
    assert result.calibrated == (first_calibrated and second_calibrated and fitted)


def test_combined_results_have_the_order_of_the_photos() -> None:
    pair = AgreeingReader(ColourReader(), ColourReader(), 0.1, True)
    results = pair.read([PHOTO, open_photo(plain(GREEN)), open_photo(plain((20, 20, 200)))])
    assert [
        result.codes if isinstance(result, Reading) else result.reason for result in results
    ] == [CODES, (1,) * 5, Reason.NOT_A_KEY]


def test_overloaded_error_of_either_reader_is_raised() -> None:
    class Full(ColourReader):
        def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
            raise Overloaded("full", retry_after_s=3)

    for pair in (
        AgreeingReader(Full(), ColourReader(), 0.1, True),
        AgreeingReader(ColourReader(), Full(), 0.1, True),
    ):
        with pytest.raises(Overloaded):
            pair.read([PHOTO])


def test_combined_reader_has_both_names_and_warms_up_both() -> None:
    first, second = ColourReader(), ColourReader()
    pair = agreeing(first, second, (0.2, True))
    pair.warm()
    assert first.warmed and second.warmed
    mixed = AgreeingReader(first, FixedReader(reading(0.5)), 0.2, True).info
    assert (mixed.name, mixed.version, mixed.kind) == ("colour-1.0.0+fixed", "2.0.0", "fake+fake")
    assert mixed.keyways == ("SC1", "KW1")
    others = (
        pair.info,
        AgreeingReader(first, second, 0.3, True).info,
        AgreeingReader(first, second, 0.2, False).info,
    )
    assert len({mixed.digest, *(info.digest for info in others)}) == 4


class ShapedReader(ColourReader):
    """Colour reader with a given batch size and number of threads."""

    def __init__(self, max_batch: int, workers: int | None) -> None:
        super().__init__()
        self._shape: dict[str, Any] = {"max_batch": max_batch, "workers": workers}

    @property
    def info(self) -> ReaderInfo:
        """Return information about the reader with these values."""
        return replace(super().info, **self._shape)


def test_combined_reader_has_the_larger_batch_and_fewer_threads() -> None:
    shapes = [
        (info.max_batch, info.workers)
        for info in (
            AgreeingReader(ShapedReader(8, 1), ShapedReader(1, None), 0.1, True).info,
            AgreeingReader(ShapedReader(1, None), ShapedReader(1, 3), 0.1, True).info,
            AgreeingReader(ShapedReader(1, None), ShapedReader(1, None), 0.1, True).info,
        )
    ]
    assert shapes == [(8, 1), (1, 3), (1, None)]


def test_response_to_a_disagreement_lists_the_code_of_each_reader(settings: Settings) -> None:
    pair = AgreeingReader(
        FixedReader(reading(0.5), "first"), FixedReader(reading(0.5, OTHER), "second"), 0.1, True
    )
    client: FlaskClient = create_app(settings, load=lambda: pair).test_client()
    body = check_failure(
        client, client.post("/predict", data=plain(), content_type="image/jpeg"), 422, "unreadable"
    )
    assert (body["reason"], body["model_used"]) == ("readers_disagree", "first-2.0.0+second-2.0.0")
    assert body["details"]["opinions"][1] == {
        "model": "second-2.0.0",
        "keyway": "SC1",
        "bitting": "2,5,4,6,3",
        "probability": 0.5,
    }
    assert "2,5,4" not in log_text(settings.logs)


@given(p=PROBABILITIES, q=PROBABILITIES, c=PROBABILITIES)
def test_combined_probabilities_are_valid_and_symmetric(p: float, q: float, c: float) -> None:
    assert 0 <= agreement_probability(p, q, c) <= 1
    first, second = rival_probabilities(p, q, c)
    assert min(first, second) >= 0 and first + second <= 1 + 1e-12
    assert agreement_probability(p, q, c) == pytest.approx(agreement_probability(q, p, c))
    assert rival_probabilities(q, p, c) == pytest.approx((second, first))


@given(p=st.floats(0.001, 0.999), q=st.floats(0.001, 0.999), c=PROBABILITIES)
def test_agreement_increases_confidence_unless_one_reader_is_too_unsure(
    p: float, q: float, c: float
) -> None:
    gain = agreement_probability(p, q, c) - max(p, q)
    assume(abs(min(p, q) - c / (1 + c)) > 1e-9)
    assert gain >= -1e-12 if min(p, q) > c / (1 + c) else gain <= 1e-12


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """Generate consistent readings.

    No cut is less likely than the whole code, and the candidates sum to at most 1.
    """
    codes = draw(st.lists(st.tuples(*[st.integers(4, 5)] * 5), min_size=1, max_size=4, unique=True))
    shares = sorted(
        np.array(
            draw(st.lists(st.floats(0.01, 1), min_size=len(codes) + 1, max_size=len(codes) + 1))
        ),
        reverse=True,
    )
    probabilities = [float(share / sum(shares)) for share in shares[: len(codes)]]
    cuts = [
        Cut(position, depth, draw(st.floats(probabilities[0], 1)), 7.0)
        for position, depth in enumerate(codes[0], 1)
    ]
    ranked = tuple(map(Candidate, codes, probabilities))
    return Reading(
        draw(st.sampled_from(["SC1", "KW1"])),
        codes[0],
        probabilities[0],
        True,
        tuple(cuts),
        ranked,
        Quality(),
    )


@given(first=readings(), second=readings(), c=PROBABILITIES)
def test_combined_result_is_always_consistent(first: Reading, second: Reading, c: float) -> None:
    result = read(first, second, c)
    if isinstance(result, Unreadable):
        assert (first.keyway, first.codes) != (second.keyway, second.codes)
        assert max(rival_probabilities(first.confidence, second.confidence, c)) < 0.5
        return
    assert result.codes in (first.codes, second.codes)
    assert all(result.confidence <= cut.probability <= 1 for cut in result.cuts)
    assert result.candidates[0] == Candidate(result.codes, result.confidence)
    probabilities = [candidate.probability for candidate in result.candidates]
    assert probabilities == sorted(probabilities, reverse=True) and sum(probabilities) <= 1 + 1e-9
    assert len({candidate.codes for candidate in result.candidates}) == len(probabilities)


@given(original=readings())
def test_reading_is_unchanged_if_its_confidence_is_unchanged(original: Reading) -> None:
    again = with_confidence(original, original.confidence, calibrated=True)
    assert [cut.probability for cut in again.cuts] == pytest.approx(
        [cut.probability for cut in original.cuts]
    )
    assert [candidate.probability for candidate in again.candidates] == pytest.approx(
        [candidate.probability for candidate in original.candidates]
    )


def test_shared_error_is_fitted_on_photos_that_both_readers_misread() -> None:
    truth, wrong_digit, wrong_keyway, unrelated = (
        ("SC1", CODES),
        ("SC1", OTHER),
        ("SC4", CODES),
        ("KW1", (1, 1, 1, 1, 1)),
    )
    assert fit_shared_error([]) == (0.5, 0)
    assert fit_shared_error(
        [
            Outcome(truth, truth, truth),
            Outcome(truth, truth, wrong_digit),
            Outcome(truth, wrong_digit, truth),
        ]
    ) == (0.5, 0)
    wrong = [
        Outcome(truth, wrong_digit, wrong_digit),
        Outcome(truth, wrong_digit, wrong_keyway),
        Outcome(truth, wrong_keyway, unrelated),
        Outcome(truth, unrelated, wrong_digit),
    ]
    assert fit_shared_error(iter(wrong)) == pytest.approx((2 / 6, 4))


def test_combined_probabilities_match_simulated_readers() -> None:
    """Simulate two readers. If both are wrong, they make the same mistake in one of four cases."""
    rng = np.random.default_rng(5)
    p, q, c, n = 0.7, 0.55, 0.25, 200_000
    first, second, shared = rng.random(n) < p, rng.random(n) < q, rng.random(n) < c
    shared_cut = (first & second) | (~first & ~second & shared)
    assert first[shared_cut].mean() == pytest.approx(agreement_probability(p, q, c), abs=0.01)
    assert (first[~shared_cut].mean(), second[~shared_cut].mean()) == pytest.approx(
        rival_probabilities(p, q, c), abs=0.01
    )
