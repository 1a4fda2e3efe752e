"""Tests of the engine slot: loading, the spare reader that replaces a failed one, and closing."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from keylike.engines.engine_slot import EngineSlot
from keylike.engines.thread_engine import ThreadEngine
from keylike.errors import ModelError, ModelLoading, Overloaded
from keylike.images.photo import open_photo
from keylike.observability.logs import make_logger
from keylike.readers.contract import Reader
from keylike.scheduling.admission import AdmissionControl
from keylike.scheduling.queue_metrics import LoadMeter
from tests.fakes import ColourReader, colour_reader
from tests.log_text import log_text

METER = LoadMeter(lambda: 0.0)
Load = Callable[[], Reader]


def admission() -> AdmissionControl:
    """Return an admission control that admits nothing yet."""
    return AdmissionControl(1, METER, clock=lambda: 0.0)


def engine_of(load: Load, slots: AdmissionControl) -> Callable[[], ThreadEngine]:
    """Return a function that builds an engine around the reader that `load` returns."""
    return lambda: ThreadEngine(load(), open_photo, slots, METER, threads=1)


def slot_of(load: Load, spare: Load | None = None, log: Path | None = None) -> EngineSlot:
    """Return an engine slot that has not loaded its reader yet."""
    slots = admission()
    return EngineSlot(
        engine_of(load, slots),
        slots,
        spare=engine_of(spare, slots) if spare else None,
        log=make_logger(log) if log else None,
    )


class Panic(BaseException):
    """An exception that `except Exception` does not catch, as some native libraries raise it."""


class ColdReader(ColourReader):
    """A reader that raises an error when it is warmed up."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def warm(self) -> None:
        """Raise the error."""
        raise self.error


def failing(error: BaseException) -> Load:
    """Return a function that raises `error` instead of loading."""

    def fail() -> Reader:
        raise error

    return fail


def test_engine_slot_is_ready_only_after_the_warm_up() -> None:
    reader = ColourReader()
    slots = admission()
    slot = EngineSlot(engine_of(lambda: reader, slots), slots)
    assert (slot.ready, slot.name, slot.info) == (False, None, None)
    with pytest.raises(ModelLoading):
        slot.engine()
    with pytest.raises(ModelLoading), slots.admit(1):
        raise AssertionError("a photo was admitted before a model was loaded")
    slot.load()
    assert slot.ready and reader.warmed
    assert slot.engine().reader is reader
    assert slot.name == "colour-1.0.0"
    with slots.admit(1):
        pass


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModelError("gemma/config.json is damaged"), "gemma/config.json is damaged"),
        (KeyError("canary"), "the model could not be loaded (KeyError)"),
        (Overloaded("canary", retry_after_s=1), "the model could not be loaded (Overloaded)"),
        (SystemExit("canary"), "the model could not be loaded (SystemExit)"),
        (Panic("canary"), "the model could not be loaded (Panic)"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("when", ["loading", "warming"])
def test_spare_reader_replaces_a_reader_that_cannot_be_loaded(
    tmp_path: Path, error: BaseException, reason: str, when: str
) -> None:
    load = failing(error) if when == "loading" else lambda: ColdReader(error)
    slot = slot_of(load, spare=colour_reader, log=tmp_path / "logs")
    slot.load()
    assert (slot.ready, slot.name) == (True, "colour-1.0.0")
    assert slot.reason is not None and slot.reason.startswith(reason)
    lines = [json.loads(line) for line in log_text(tmp_path / "logs").splitlines()]
    assert lines[-1]["event"] == "degraded" and lines[-1]["reason"] == slot.reason
    crashes = [line for line in lines if line["event"] == "model_crash"]
    assert len(crashes) == (not isinstance(error, ModelError))
    assert all(line["places"] and "canary" not in str(line) for line in crashes)


def test_failed_load_without_a_spare_reader_raises_model_error() -> None:
    slot = slot_of(failing(KeyError("canary")))
    with pytest.raises(ModelError, match=r"^the model could not be loaded \(KeyError\)$"):
        slot.load()
    assert not slot.ready and slot.reason is None
    with pytest.raises(ModelLoading):
        slot.engine()


def test_model_error_names_both_failures_if_the_spare_reader_fails_too() -> None:
    with pytest.raises(ModelError, match=r"^one; the fallback reader failed too: two$"):
        slot_of(failing(ModelError("one")), failing(ModelError("two"))).load()
    with pytest.raises(ModelError, match=r"^one$"):
        slot_of(failing(ModelError("one")), failing(ModelError("one"))).load()


def test_ctrl_c_while_loading_is_not_a_failure_of_the_model() -> None:
    with pytest.raises(KeyboardInterrupt):
        slot_of(failing(KeyboardInterrupt()), colour_reader).load()


def test_half_loaded_model_is_freed_before_the_spare_reader_is_loaded() -> None:
    class Weights:
        """An object in a reference cycle, like the objects that loaders of models create."""

        def __init__(self) -> None:
            self.owner = self

    held: list[weakref.ref[Weights]] = []

    def load_half() -> Reader:
        weights = Weights()
        held.append(weakref.ref(weights))
        raise ModelError("not enough memory")

    def spare() -> Reader:
        assert held[0]() is None
        return colour_reader()

    gc.disable()
    try:
        slot = slot_of(load_half, spare)
        slot.load()
    finally:
        gc.enable()
    assert slot.reason == "not enough memory"


def test_model_that_finishes_loading_after_close_is_closed() -> None:
    slots = admission()
    loading, go_on = threading.Event(), threading.Event()

    def load() -> Reader:
        loading.set()
        assert go_on.wait(20)
        return colour_reader()

    slot = EngineSlot(engine_of(load, slots), slots)
    errors: list[ModelError] = []

    def run() -> None:
        try:
            slot.load()
        except ModelError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert loading.wait(20)
    assert slot.close()
    go_on.set()
    thread.join(20)
    assert "stopped" in str(errors[0])
    assert not slot.ready
