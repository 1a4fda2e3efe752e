"""Tests of `Inference.answer`: reading one photo without HTTP."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import pytest

from keylike.engines.engine_slot import EngineSlot
from keylike.errors import ImageTooLarge, ModelLoading, UnreadableKey
from keylike.inference import Inference, Limits, Options
from keylike.readers.contract import Opinion, Reason, Unreadable
from keylike.scheduling.admission import AdmissionControl
from keylike.scheduling.queue_metrics import LoadMeter
from tests.fakes import ColourReader, FixedReader
from tools.plain_pictures import BLUE, RED, plain


def inference(limits: Limits | None = None) -> Inference:
    """Return an `Inference` whose clock advances by 0.25 seconds with each call."""
    ticks = itertools.count()
    local = Inference.local(ColourReader(), limits or Limits())
    return replace(local, clock=lambda: next(ticks) / 4)


def test_answer_contains_reading_market_figures_and_assessment() -> None:
    answer = inference().answer(plain(RED), Options("12345"))
    assert answer.bitting.format() == "2,5,4,7,3"
    assert answer.bitting.keyway.name == answer.reading.keyway == "SC1"
    assert (answer.model, answer.zipcode, answer.cached) == ("colour-1.0.0", "12345", False)
    assert answer.processing_ms > 0 and answer.processing_ms % 250 == 0
    assert answer.market.estimated_annual_production > 0
    assert answer.assessment.to_dict()


def test_refused_photo_raises_unreadable_key_with_its_reason() -> None:
    with pytest.raises(UnreadableKey) as refusal:
        inference().answer(plain(BLUE), Options())
    assert (refusal.value.reason, refusal.value.model) == ("not_a_key", "colour-1.0.0")


def test_disagreement_of_readers_contains_the_code_of_each() -> None:
    opinions = (
        Opinion("colour-1.0.0", "SC1", (2, 5, 4, 7, 3), 0.41237),
        Opinion("other-2.0.0", "KW1", (1, 2, 3, 4, 5), 0.4),
    )
    reader = FixedReader(
        Unreadable(Reason.READERS_DISAGREE, "They differ.", "Again.", opinions=opinions)
    )
    with pytest.raises(UnreadableKey) as refusal:
        Inference.local(reader, Limits()).answer(plain(), Options())
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


def test_picture_above_a_limit_is_refused() -> None:
    with pytest.raises(ImageTooLarge):
        inference(Limits(max_pixels=1000)).answer(plain(size=(40, 30)), Options())
    with pytest.raises(ImageTooLarge):
        inference(Limits(max_bytes=100)).answer(plain(), Options())
    with pytest.raises(ImageTooLarge):
        inference(Limits(max_memory=1000)).answer(plain(kind="PNG"), Options())


def test_picture_is_not_decoded_before_the_model_is_loaded() -> None:
    clock = time.monotonic
    slots = AdmissionControl(1, LoadMeter(clock), clock=clock)
    local = Inference.local(ColourReader(), Limits())
    empty = replace(local, slots=slots, engines=EngineSlot(lambda: local.engines.engine(), slots))
    with pytest.raises(ModelLoading):
        empty.answer(b"not even a picture", Options())
