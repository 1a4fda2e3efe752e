"""One photo in, one answer out, without any HTTP."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from keylike.errors import ImageTooLarge, ModelLoading, UnreadableKey
from keylike.inference import Inference, Limits, Options
from keylike.readers.contract import Opinion, Reader, Reason, Unreadable
from keylike.scheduling.scheduler import Scheduler
from tests.fakes import ColourReader, FixedReader
from tools.plain_pictures import BLUE, RED, plain


def before(reader: Callable[[], Reader]) -> Scheduler:
    """The shortest queue."""
    return Scheduler(reader, queue=1, threads=1)


def inference(limits: Limits | None = None) -> Inference:
    """Each look at the clock is a quarter of a second later."""
    reader, ticks = ColourReader(), itertools.count()
    return Inference(before(lambda: reader), limits or Limits(), lambda: next(ticks) / 4)


def test_an_answer_carries_reading_and_meaning() -> None:
    answer = inference().answer(plain(RED), Options("12345"))
    assert answer.bitting.format() == "2,5,4,7,3"
    assert answer.bitting.keyway.name == answer.reading.keyway == "SC1"
    assert (answer.model, answer.zipcode, answer.processing_ms, answer.cached) == (
        "colour-1.0.0",
        "12345",
        250.0,
        False,
    )
    assert answer.market.estimated_annual_production > 0
    assert answer.assessment.to_dict()


def test_a_refusal_is_raised_with_its_reason() -> None:
    with pytest.raises(UnreadableKey) as refusal:
        inference().answer(plain(BLUE), Options())
    assert (refusal.value.reason, refusal.value.model) == ("not_a_key", "colour-1.0.0")


def test_where_readers_disagree_the_refusal_tells_what_each_read() -> None:
    opinions = (
        Opinion("colour-1.0.0", "SC1", (2, 5, 4, 7, 3), 0.41237),
        Opinion("other-2.0.0", "KW1", (1, 2, 3, 4, 5), 0.4),
    )
    reader = FixedReader(
        Unreadable(Reason.READERS_DISAGREE, "They differ.", "Again.", opinions=opinions)
    )
    with pytest.raises(UnreadableKey) as refusal:
        Inference(before(lambda: reader), Limits(), lambda: 0.0).answer(plain(), Options())
    assert refusal.value.details == {
        "opinions": [
            {
                "model": "colour-1.0.0",
                "keyway": "SC1",
                "bitting": "2,5,4,7,3",
                "probability": 0.4124,
            },
            {"model": "other-2.0.0", "keyway": "KW1", "bitting": "1,2,3,4,5", "probability": 0.4},
        ]
    }


def test_limits_hold() -> None:
    with pytest.raises(ImageTooLarge):
        inference(Limits(max_pixels=1000)).answer(plain(size=(40, 30)), Options())
    with pytest.raises(ImageTooLarge):
        inference(Limits(max_bytes=100)).answer(plain(), Options())
    with pytest.raises(ImageTooLarge):
        inference(Limits(max_memory=1000)).answer(plain(kind="PNG"), Options())


def test_without_a_reader_nothing_is_decoded() -> None:
    def loading() -> ColourReader:
        raise ModelLoading("not yet", retry_after_s=1)

    with pytest.raises(ModelLoading):
        Inference(before(loading), Limits(), lambda: 0.0).answer(b"not even a picture", Options())
