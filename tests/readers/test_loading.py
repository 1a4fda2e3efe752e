"""The loader refuses what is missing, altered or unknown, in a line that says which."""

from __future__ import annotations

import gc
import hashlib
import json
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from keylike.errors import ModelError, ModelLoading, Overloaded
from keylike.observability.logs import make_logger
from keylike.readers import loading as model_loader
from keylike.readers.contract import Reader
from keylike.readers.loading import UNFITTED, ModelSlot, agreement_of, load, load_agreeing
from tests.fakes import ColourReader, colour_reader

GOOD = hashlib.sha256(b"weights").hexdigest()


def folder(tmp_path: Path, manifest: str, weights: bytes = b"weights") -> Path:
    """A model folder with one file."""
    (tmp_path / "manifest.toml").write_text(manifest)
    (tmp_path / "weights.onnx").write_bytes(weights)
    return tmp_path


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere is not there"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("kind = ", "not valid TOML"),
        ('kind = "caliper"', "lists no files"),
        ('kind = "caliper"\n[files]\n"other.onnx" = "00"', "missing"),
        ('kind = "caliper"\n[files]\n"../weights.onnx" = "00"', "not a plain file name"),
        (f'kind = "pickle"\n[files]\n"weights.onnx" = "{GOOD}"', "'pickle' are not supported"),
    ],
)
def test_bad_manifest(tmp_path: Path, manifest: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as told:
        load(folder(tmp_path, manifest))
    assert str(tmp_path.parent) not in str(told.value)


def test_altered_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not match its SHA-256"):
        load(folder(tmp_path, f'kind = "caliper"\n[files]\n"weights.onnx" = "{GOOD}"', b"altered"))


def test_slot_is_ready_only_after_warming() -> None:
    reader = ColourReader()
    slot = ModelSlot(lambda: reader)
    assert not slot.ready and slot.name is None
    with pytest.raises(ModelLoading):
        slot.reader()
    slot.load()
    assert slot.ready and reader.warmed
    assert slot.reader() is reader
    assert slot.name == "colour-1.0.0"


class Panic(BaseException):
    """Raised by libraries in other languages, past every `except Exception`."""


class Cold(ColourReader):
    """Breaks when it is warmed."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def warm(self) -> None:
        """Always fails."""
        raise self.error


def failing(error: BaseException) -> Callable[[], Reader]:
    """Loading ends in this."""

    def fail() -> Reader:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModelError("gemma/config.json is damaged"), "gemma/config.json is damaged"),
        (KeyError("canary"), "the model could not be loaded (KeyError)"),
        (
            Overloaded("canary", retry_after_s=1),
            "the model could not be loaded (Overloaded): no memory is left to read a photo with; KEYLIKE_PRECISION=nf4 takes the least",
        ),
        (SystemExit("canary"), "the model could not be loaded (SystemExit)"),
        (Panic("canary"), "the model could not be loaded (Panic)"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("when", ["loading", "warming"])
def test_a_spare_reader_takes_the_place_of_one_that_fails(
    tmp_path: Path, error: BaseException, reason: str, when: str
) -> None:
    log = make_logger(tmp_path / "logs")
    slot = ModelSlot(
        failing(error) if when == "loading" else lambda: Cold(error), spare=colour_reader, log=log
    )
    slot.load()
    assert (slot.ready, slot.name, slot.reason) == (True, "colour-1.0.0", reason)
    lines = [json.loads(line) for line in (tmp_path / "logs" / "api.log").read_text().splitlines()]
    assert lines[-1]["event"] == "degraded" and lines[-1]["reason"] == reason
    crashes = [line for line in lines if line["event"] == "model_crash"]
    assert len(crashes) == (not isinstance(error, ModelError))
    assert all(line["places"] and "canary" not in str(line) for line in crashes)


def test_without_a_spare_reader_a_failure_is_a_model_error() -> None:
    slot = ModelSlot(failing(KeyError("canary")))
    with pytest.raises(ModelError, match=r"^the model could not be loaded \(KeyError\)$"):
        slot.load()
    assert not slot.ready and slot.reason is None
    with pytest.raises(ModelLoading):
        slot.reader()


def test_where_the_spare_reader_fails_too_both_are_told() -> None:
    with pytest.raises(ModelError, match=r"^one; and in its place: two$"):
        ModelSlot(failing(ModelError("one")), spare=failing(ModelError("two"))).load()
    with pytest.raises(ModelError, match=r"^one$"):
        ModelSlot(failing(ModelError("one")), spare=failing(ModelError("one"))).load()


def test_ctrl_c_is_no_failure_of_a_model() -> None:
    with pytest.raises(KeyboardInterrupt):
        ModelSlot(failing(KeyboardInterrupt()), spare=colour_reader).load()


def test_what_was_half_loaded_is_gone_before_the_spare_reader_is_loaded() -> None:
    class Weights:
        """Holds itself, as loaders and their parts do."""

        def __init__(self) -> None:
            self.owner = self

    held: list[weakref.ref[Weights]] = []

    def half() -> Reader:
        weights = Weights()
        held.append(weakref.ref(weights))
        raise ModelError("not enough memory")

    def spare() -> Reader:
        assert held[0]() is None
        return colour_reader()

    gc.disable()
    try:
        slot = ModelSlot(half, spare=spare)
        slot.load()
    finally:
        gc.enable()
    assert slot.reason == "not enough memory"


def test_two_readers_need_two_models() -> None:
    caliper = Path(model_loader.__file__).parents[2] / "models" / "caliper"
    with pytest.raises(
        ModelError, match="KEYLIKE_AGREE needs MODEL_PATH to name another model than the caliper"
    ):
        load_agreeing(caliper, caliper)


def test_two_readers_become_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Path] = []

    def fake(folder: Path, choices: model_loader.Choices = model_loader.DEFAULTS) -> Reader:
        loaded.append(folder)
        return colour_reader()

    monkeypatch.setattr(model_loader, "load", fake)
    pair = load_agreeing(tmp_path, tmp_path / "caliper")
    assert loaded == [tmp_path, tmp_path / "caliper"]
    assert (pair.info.name, pair.info.version) == ("colour-1.0.0+colour", "1.0.0")


def test_the_shared_error_comes_from_the_manifest(tmp_path: Path) -> None:
    assert agreement_of(tmp_path) == UNFITTED
    (tmp_path / "manifest.toml").write_text("")
    assert agreement_of(tmp_path) == UNFITTED
    (tmp_path / "manifest.toml").write_text("[agreement]\nshared_error = 0.2\nfitted_on = 40\n")
    assert agreement_of(tmp_path) == (0.2, True)


@pytest.mark.parametrize(
    "name", ["gemma-3n-E4B-it", "gemma-3n-E2B", "gemma-3n-E4B-it-unsloth-bnb-4bit"]
)
def test_a_base_model_is_no_reader(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(ModelError, match=f"{name} is a base model, never taught to read keys"):
        load(tmp_path / name)
