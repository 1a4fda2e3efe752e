"""Two readers on one photo: the table of the rule, its bounds, and what a reading keeps when its confidence changes."""

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
    fit_shared_error,
    restated,
    when_alike,
    when_apart,
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
from tools.plain_pictures import GREEN, plain

PHOTO = open_photo(plain())
CODES, OTHER = (2, 5, 4, 7, 3), (2, 5, 4, 6, 3)
DRAWING = Drawing(((0.0, 0.0), (1.0, 1.0)), (CutLine(1, (0.0, 0.0), (0.0, 1.0)),), (2, 2))
CHANCES = st.floats(0, 1)


def reading(
    confidence: float,
    codes: tuple[int, ...] = CODES,
    keyway: str = "SC1",
    *,
    calibrated: bool = True,
    others: Sequence[Candidate] = (),
) -> Reading:
    """A reading whose cuts are each surer than the whole."""
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
    """Says no."""
    return Unreadable(reason, f"It is {reason}.", "Again.")


def read(
    first: Reading | Unreadable, second: Reading | Unreadable, c: float = 0.25, fitted: bool = True
) -> Reading | Unreadable:
    """What comes of both."""
    both: Reader = AgreeingReader(
        FixedReader(first, "first"), FixedReader(second, "second"), c, fitted
    )
    (result,) = both.read([PHOTO])
    return result


def read_code(
    first: Reading | Unreadable, second: Reading | Unreadable, c: float = 0.25, fitted: bool = True
) -> Reading:
    """The same where a code is expected."""
    result = read(first, second, c, fitted)
    assert isinstance(result, Reading), result
    return result


@pytest.mark.parametrize(
    ("p", "q", "c", "chance"),
    [
        # Of 100 photos both are right on 48 and wrong on 8, of which 2 alike.
        (0.8, 0.6, 0.25, 48 / 50),
        (0.6, 0.8, 0.25, 48 / 50),
        # Every mistake is a shared one: then two readers that are right half of the time know no more than one.
        (0.5, 0.5, 1.0, 0.5),
        (0.8, 0.6, 0.0, 1.0),
        (0.1, 0.1, 0.5, 0.01 / (0.01 + 0.405)),
    ],
)
def test_readers_that_agree(p: float, q: float, c: float, chance: float) -> None:
    assert when_alike(p, q, c) == pytest.approx(chance)
    assert read_code(reading(p), reading(q), c).confidence == pytest.approx(chance)


def test_readers_that_differ() -> None:
    # Of 100 photos only the first is right on 32, only the second on 12, and both are wrong and unlike on 6.
    assert when_apart(0.8, 0.6, 0.25) == pytest.approx((32 / 50, 12 / 50))
    assert when_apart(1.0, 1.0, 0.25) == pytest.approx((0.5, 0.5), abs=1e-5)
    assert when_apart(0.0, 0.0, 1.0) == pytest.approx((0.5, 0.5), abs=1e-5)


def test_the_likelier_of_two_codes_is_taken_whichever_reader_gave_it() -> None:
    sure, unsure = reading(0.8), reading(0.6, OTHER)
    for result in (read_code(sure, unsure), read_code(unsure, sure)):
        assert (result.codes, [each.codes for each in result.candidates]) == (CODES, [CODES, OTHER])
        assert [
            result.confidence,
            *(each.probability for each in result.candidates),
        ] == pytest.approx([0.64, 0.64, 0.24])


def test_the_cut_in_which_they_differ_is_the_doubtful_one() -> None:
    result = read_code(reading(0.8), reading(0.6, OTHER))
    # In 12 of 100 neither is right, and half of the reader's mistakes leave any one cut right.
    alike, apart = 0.64 + 0.24 + 0.12 / 2, 0.64 + 0.12 / 2
    assert [cut.probability for cut in result.cuts] == pytest.approx(
        [alike, alike, alike, apart, alike]
    )


def test_two_codes_of_which_neither_is_likely_are_no_code() -> None:
    result = read(reading(0.5), reading(0.45, (1, 2, 3, 4, 5), "KW1"))
    assert isinstance(result, Unreadable)
    assert result.reason is Reason.READERS_DISAGREE
    assert [(one.model, one.keyway, one.codes, one.probability) for one in result.opinions] == [
        ("first-2.0.0", "SC1", CODES, 0.5),
        ("second-2.0.0", "KW1", (1, 2, 3, 4, 5), 0.45),
    ]
    assert result.quality.px_per_mm == 9.0


def test_the_same_code_of_another_keyway_is_another() -> None:
    result = read_code(reading(0.9), reading(0.6, keyway="SC4"))
    assert result.confidence < 0.9
    assert result.candidates == (Candidate(CODES, result.confidence),)
    # The rival says nothing of the cuts of this keyway, so only where neither is right may a cut be right beside the whole.
    (neither,) = {cut.probability - result.confidence for cut in result.cuts}
    assert neither == pytest.approx((1 - sum(when_apart(0.9, 0.6, 0.25))) / 2)


NO_CODE = (Reason.NOT_A_KEY, Reason.SEVERAL_KEYS, Reason.NO_CUTS, Reason.UNSUPPORTED_KEYWAY)


@pytest.mark.parametrize("reason", Reason)
def test_where_one_refuses(reason: Reason) -> None:
    code = reading(0.7)
    for first, second, by in ((code, refusal(reason), "first"), (refusal(reason), code, "second")):
        result = read(first, second)
        if reason in NO_CODE:
            assert isinstance(result, Unreadable) and result.reason is Reason.READERS_DISAGREE
            assert [(one.model, one.codes) for one in result.opinions] == [(f"{by}-2.0.0", CODES)]
        else:
            assert result is code


def test_where_both_refuse_the_first_is_heard() -> None:
    first = refusal(Reason.TOO_SMALL)
    assert read(first, refusal(Reason.NOT_A_KEY)) is first


def test_what_was_measured_is_kept_from_the_reader_that_measured() -> None:
    plainly, drawn = reading(0.8), reading(0.6)
    cuts = tuple(Cut(cut.position, cut.depth, 0.9, 7.25) for cut in drawn.cuts)
    quality = Quality(px_per_mm=10.0, sharpness=0.5, tilt_deg=3.0)
    drawn = Reading("SC1", CODES, 0.6, True, cuts, drawn.candidates, quality, DRAWING)
    for result in (read_code(plainly, drawn), read_code(drawn, plainly)):
        assert (result.quality, result.drawing, result.cuts[0].depth_mm) == (quality, DRAWING, 7.25)
        assert result.confidence == pytest.approx(0.96)


@pytest.mark.parametrize(
    ("one", "other", "fitted"),
    [(True, True, True), (False, True, True), (True, False, True), (True, True, False)],
)
@pytest.mark.parametrize("codes", [CODES, OTHER])
def test_calibrated_is_said_only_where_all_of_it_is(
    one: bool, other: bool, fitted: bool, codes: tuple[int, ...]
) -> None:
    result = read_code(
        reading(0.9, calibrated=one), reading(0.6, codes, calibrated=other), fitted=fitted
    )
    assert result.calibrated == (one and other and fitted)


def test_photos_keep_their_order() -> None:
    both = AgreeingReader(ColourReader(), ColourReader(), 0.1, True)
    results = both.read([PHOTO, open_photo(plain(GREEN)), open_photo(plain((20, 20, 200)))])
    assert [
        result.codes if isinstance(result, Reading) else result.reason for result in results
    ] == [CODES, (1,) * 5, Reason.NOT_A_KEY]


def test_a_reader_without_memory_is_heard() -> None:
    class Full(ColourReader):
        def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
            raise Overloaded("full", retry_after_s=3)

    for both in (
        AgreeingReader(Full(), ColourReader(), 0.1, True),
        AgreeingReader(ColourReader(), Full(), 0.1, True),
    ):
        with pytest.raises(Overloaded):
            both.read([PHOTO])


def test_it_is_called_after_both_and_warms_both() -> None:
    first, second = ColourReader(), ColourReader()
    both = agreeing(first, second, (0.2, True))
    both.warm()
    assert first.warmed and second.warmed
    mixed = AgreeingReader(first, FixedReader(reading(0.5)), 0.2, True).info
    assert (mixed.name, mixed.version, mixed.kind) == ("colour-1.0.0+fixed", "2.0.0", "fake+fake")
    assert mixed.keyways == ("SC1", "KW1")
    others = (
        both.info,
        AgreeingReader(first, second, 0.3, True).info,
        AgreeingReader(first, second, 0.2, False).info,
    )
    assert len({mixed.digest, *(other.digest for other in others)}) == 4


class Shaped(ColourReader):
    """Wants so many photos at a time, from so many threads."""

    def __init__(self, max_batch: int, workers: int | None) -> None:
        super().__init__()
        self._shape: dict[str, Any] = {"max_batch": max_batch, "workers": workers}

    @property
    def info(self) -> ReaderInfo:
        """With what it wants."""
        return replace(super().info, **self._shape)


def test_it_takes_photos_as_the_choosier_of_both_does() -> None:
    shapes = [
        (info.max_batch, info.workers)
        for info in (
            AgreeingReader(Shaped(8, 1), Shaped(1, None), 0.1, True).info,
            AgreeingReader(Shaped(1, None), Shaped(1, 3), 0.1, True).info,
            AgreeingReader(Shaped(1, None), Shaped(1, None), 0.1, True).info,
        )
    ]
    assert shapes == [(8, 1), (1, 3), (1, None)]


def test_the_refusal_over_http_tells_what_each_read(settings: Settings) -> None:
    both = AgreeingReader(
        FixedReader(reading(0.5), "first"), FixedReader(reading(0.5, OTHER), "second"), 0.1, True
    )
    client: FlaskClient = create_app(settings, load=lambda: both).test_client()
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
    assert "2,5,4" not in (settings.logs / "api.log").read_text()


@given(p=CHANCES, q=CHANCES, c=CHANCES)
def test_probabilities_are_probabilities(p: float, q: float, c: float) -> None:
    assert 0 <= when_alike(p, q, c) <= 1
    one, other = when_apart(p, q, c)
    assert min(one, other) >= 0 and one + other <= 1 + 1e-12
    assert when_alike(p, q, c) == pytest.approx(when_alike(q, p, c))
    assert when_apart(q, p, c) == pytest.approx((other, one))


@given(p=st.floats(0.001, 0.999), q=st.floats(0.001, 0.999), c=CHANCES)
def test_agreeing_makes_surer_unless_a_reader_doubts_itself_more_than_mistakes_are_shared(
    p: float, q: float, c: float
) -> None:
    raised = when_alike(p, q, c) - max(p, q)
    assume(abs(min(p, q) - c / (1 + c)) > 1e-9)
    assert raised >= -1e-12 if min(p, q) > c / (1 + c) else raised <= 1e-12


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """Any reading that keeps the contract: no cut below the whole, candidates ranked and together no more than certain."""
    codes = draw(st.lists(st.tuples(*[st.integers(4, 5)] * 5), min_size=1, max_size=4, unique=True))
    shares = sorted(
        np.array(
            draw(st.lists(st.floats(0.01, 1), min_size=len(codes) + 1, max_size=len(codes) + 1))
        ),
        reverse=True,
    )
    chances = [float(share / sum(shares)) for share in shares[: len(codes)]]
    cuts = [
        Cut(at, depth, draw(st.floats(chances[0], 1)), 7.0) for at, depth in enumerate(codes[0], 1)
    ]
    ranked = tuple(map(Candidate, codes, chances))
    return Reading(
        draw(st.sampled_from(["SC1", "KW1"])),
        codes[0],
        chances[0],
        True,
        tuple(cuts),
        ranked,
        Quality(),
    )


@given(first=readings(), second=readings(), c=CHANCES)
def test_whatever_comes_of_two_readings_keeps_the_contract(
    first: Reading, second: Reading, c: float
) -> None:
    result = read(first, second, c)
    if isinstance(result, Unreadable):
        assert (first.keyway, first.codes) != (second.keyway, second.codes)
        assert max(when_apart(first.confidence, second.confidence, c)) < 0.5
        return
    assert result.codes in (first.codes, second.codes)
    assert all(result.confidence <= cut.probability <= 1 for cut in result.cuts)
    assert result.candidates[0] == Candidate(result.codes, result.confidence)
    chances = [candidate.probability for candidate in result.candidates]
    assert chances == sorted(chances, reverse=True) and sum(chances) <= 1 + 1e-9
    assert len({candidate.codes for candidate in result.candidates}) == len(chances)


@given(one=readings())
def test_at_its_own_confidence_a_reading_is_what_it_was(one: Reading) -> None:
    again = restated(one, one.confidence, calibrated=True)
    assert [cut.probability for cut in again.cuts] == pytest.approx(
        [cut.probability for cut in one.cuts]
    )
    assert [each.probability for each in again.candidates] == pytest.approx(
        [each.probability for each in one.candidates]
    )


def test_shared_mistakes_are_counted_where_both_are_wrong() -> None:
    truth, one, other, far = (
        ("SC1", CODES),
        ("SC1", OTHER),
        ("SC4", CODES),
        ("KW1", (1, 1, 1, 1, 1)),
    )
    assert fit_shared_error([]) == (0.5, 0)
    assert fit_shared_error(
        [Outcome(truth, truth, truth), Outcome(truth, truth, one), Outcome(truth, one, truth)]
    ) == (0.5, 0)
    wrong = [
        Outcome(truth, one, one),
        Outcome(truth, one, other),
        Outcome(truth, other, far),
        Outcome(truth, far, one),
    ]
    assert fit_shared_error(iter(wrong)) == pytest.approx((2 / 6, 4))


def test_readers_made_by_chance_are_right_as_often_as_is_said() -> None:
    """Two readers that err on their own, and alike in one of four shared mistakes: of each outcome the stated share is right."""
    rng = np.random.default_rng(5)
    p, q, c, n = 0.7, 0.55, 0.25, 200_000
    first, second, shared = rng.random(n) < p, rng.random(n) < q, rng.random(n) < c
    alike = (first & second) | (~first & ~second & shared)
    assert first[alike].mean() == pytest.approx(when_alike(p, q, c), abs=0.01)
    assert (first[~alike].mean(), second[~alike].mean()) == pytest.approx(
        when_apart(p, q, c), abs=0.01
    )
