"""From a folder under models/ to a checked, warmed reader, and the one place that says whether it is ready.

A model folder holds `manifest.toml`; its table `[files]` gives each file's SHA-256, and nothing is opened before all of them agree.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from structlog.stdlib import BoundLogger

from keylike.errors import RETRY_AFTER_S, ModelError, ModelLoading, Overloaded
from keylike.observability.logs import places
from keylike.readers.agree import AgreeingReader
from keylike.readers.classifiers.contract import Classifier
from keylike.readers.contract import Reader
from keylike.readers.model_files import (
    MANIFEST,
    called,
    check_files,
    has_manifest,
    read_manifest,
    shown,
)

if TYPE_CHECKING:
    from keylike.readers.caliper.reader import CaliperReader

KINDS = ("caliper", "gemma-lora", "gemma-merged")
# How often two wrong readings are the same wrong code, and whether that was fitted: what is assumed until it is.
UNFITTED = (0.5, False)


@dataclass(frozen=True, slots=True)
class Choices:
    """What whoever starts Keylike may choose about a model, as the settings of the same names say; `models`: where bases are looked
    for; `finder_folder`: a caliper's, which shows other readers where the key lies."""

    models: Path | None = None
    base_model: Path | None = None
    backend: str = "auto"
    precision: str = "auto"
    max_batch: int = 4
    finder_folder: Path | None = None


DEFAULTS = Choices()


@dataclass(frozen=True, slots=True)
class _Held:
    reader: Reader
    reason: str | None


class ModelSlot:
    """Holds the reader once it is loaded and warmed; until then whoever asks for it gets ModelLoading.

    Where what `load` gives cannot be had, the `spare` reader takes its place, and `reason` says why.
    """

    def __init__(
        self,
        load: Callable[[], Reader],
        *,
        spare: Callable[[], Reader] | None = None,
        log: BoundLogger | None = None,
    ) -> None:
        self._load, self._spare, self._log = load, spare, log
        self._held: _Held | None = None

    def load(self) -> None:
        """Loads and warms the reader, or the spare one, then shows it to all threads at once. Raises ModelError where neither will do;
        whatever a library raises counts as that, so that nobody waits for ever."""
        found, reason = self._attempt(self._load), None
        if isinstance(found, str) and self._spare is not None:
            reason = found
            gc.collect()  # what was half loaded is often held by a circle of its own, and may fill the memory
            found = self._attempt(self._spare)
        if isinstance(found, str):
            raise ModelError(
                found if reason in (None, found) else f"{reason}; and in its place: {found}"
            )
        self._held = _Held(found, reason)
        if reason is not None and self._log:
            self._log.warning("degraded", reason=reason, model=self.name)

    def _attempt(self, load: Callable[[], Reader]) -> Reader | str:
        """The warmed reader, or why there is none: as text, since the exception itself would keep what was half loaded."""
        try:
            reader = load()
            reader.warm()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # libraries panic and exit with kinds that are no Exception
            if self._log and not isinstance(error, ModelError):
                self._log.error("model_crash", error=type(error).__name__, places=places(error))
            return why(error)
        return reader

    @property
    def ready(self) -> bool:
        """Whether the reader may be asked."""
        return self._held is not None

    def reader(self) -> Reader:
        """The reader. Raises ModelLoading until it is ready."""
        if self._held is None:
            raise ModelLoading("The model is still being loaded.", retry_after_s=RETRY_AFTER_S)
        return self._held.reader

    @property
    def name(self) -> str | None:
        """Name and version of what is loaded, such as "caliper-1.0.0"; None before that."""
        return model_name(self._held.reader) if self._held else None

    @property
    def reason(self) -> str | None:
        """Why the spare reader answers; None where it does not."""
        return self._held.reason if self._held else None


def model_name(reader: Reader) -> str:
    """How a reader is called in answers and logs."""
    return f"{reader.info.name}-{reader.info.version}"


def why(error: BaseException) -> str:
    """A line for /health on why a model could not be loaded; what a library says itself may hold paths and is left out."""
    if isinstance(error, Overloaded):
        return "the model could not be loaded (Overloaded): no memory is left to read a photo with; KEYLIKE_PRECISION=nf4 takes the least"
    return (
        str(error)
        if isinstance(error, ModelError)
        else f"the model could not be loaded ({type(error).__name__})"
    )


def load(folder: Path, choices: Choices = DEFAULTS) -> Reader:
    """Looks at a model folder, checks it, and loads the reader of its kind; a folder without a manifest is taken for Gemma's.

    Raises ModelError with a line that says what is wrong.
    """
    manifest = read_manifest(folder) if has_manifest(folder) else {"kind": "gemma"}
    match manifest.get("kind"):
        case "caliper":
            return _caliper(folder)
        case "gemma" | "gemma-lora" | "gemma-merged":
            return _gemma(folder, choices)
        case kind:
            raise ModelError(
                f"{called(folder / MANIFEST)}: models of kind {shown(kind)!r} are not supported; known are {', '.join(KINDS)}"
            )


def is_caliper(folder: Path) -> bool:
    """Whether the folder holds a caliper, by its manifest. Raises ModelError where that cannot be read."""
    return has_manifest(folder) and read_manifest(folder).get("kind") == "caliper"


def look(folder: Path, choices: Choices = DEFAULTS) -> str:
    """Checks a model folder without loading it; a sentence on what it is. Raises ModelError with a line that says what is wrong."""
    if is_caliper(folder):
        manifest = read_manifest(folder)
        check_files(folder, manifest)
        return f"{manifest.get('name')} {manifest.get('version')} (caliper), {len(manifest['files'])} files as its manifest says"
    from keylike.readers.gemma.folder import inspect

    _refuse_base(folder)
    found = inspect(folder, base_model=choices.base_model, models=choices.models)
    stands = f" on the base {found.base.name}" if found.base else ""
    assumed = (
        ""
        if has_manifest(folder)
        else f"; no {MANIFEST}: taken to be trained as the older guide says"
    )
    return f"{found.manifest.name} {found.manifest.version} ({found.kind}{stands}{', in 4 bits' if found.quantised else ''}){assumed}"


def _refuse_base(folder: Path) -> None:
    from keylike.readers.gemma.legacy_manifest import refuse_base

    if not has_manifest(folder):
        refuse_base(folder.resolve().name)


# The readers are imported where they are loaded: the command line need not wait for their libraries.
def _caliper(folder: Path) -> CaliperReader:
    from keylike.readers.caliper.reader import CaliperReader

    return CaliperReader.load(folder)


def _gemma(folder: Path, choices: Choices) -> Reader:
    from keylike.readers.gemma.folder import inspect
    from keylike.readers.gemma.reader import GemmaReader

    _refuse_base(folder)
    checkpoint = inspect(folder, base_model=choices.base_model, models=choices.models)
    finder = None if choices.finder_folder is None else _caliper(choices.finder_folder)
    how = {"backend": choices.backend, "precision": choices.precision}
    digest = finder.info.digest if finder else ""
    return GemmaReader.load(
        checkpoint, **how, max_batch=choices.max_batch, finder=finder, finder_digest=digest
    )


def load_agreeing(folder: Path, caliper: Path, choices: Choices = DEFAULTS) -> Reader:
    """The model in `folder` with the caliper beside it. Raises ModelError where either cannot be loaded or both are calipers."""
    first = load(folder, choices)
    if first.info.kind == "caliper":
        raise ModelError("KEYLIKE_AGREE needs MODEL_PATH to name another model than the caliper")
    return agreeing(first, load(caliper), agreement_of(folder))


def agreement_of(folder: Path) -> tuple[float, bool]:
    """The shared error that the manifest of a loaded model gives for reading beside the caliper, and whether it was fitted."""
    table = read_manifest(folder).get("agreement") if has_manifest(folder) else None
    return (float(table["shared_error"]), True) if table else UNFITTED


def agreeing(first: Reader, caliper: Reader, agreement: tuple[float, bool]) -> Reader:
    """Both readers as one; `agreement`: how often two wrong readings are the same wrong code, and whether that was fitted."""
    shared_error, fitted = agreement
    return AgreeingReader(first, caliper, shared_error, fitted)


def load_classifier(folder: Path) -> Classifier:
    """The classifier in a folder of kind onnx-classifier, checked but not warmed. Raises ModelError with a line that says what is wrong."""
    from keylike.readers.classifiers.network import NetworkClassifier

    return NetworkClassifier.load(folder)


def families(caliper: Reader) -> Classifier:
    """The caliper as a classifier of families. Raises ModelError where what is given is no caliper."""
    from keylike.readers.caliper.reader import CaliperReader
    from keylike.readers.classifiers.families import FamilyClassifier

    if not isinstance(caliper, CaliperReader):
        raise ModelError(
            "the embedded reader is no caliper: models/caliper must hold the one that is shipped"
        )
    return FamilyClassifier(caliper)


def families_beside(reader: Reader, caliper: Path) -> Classifier:
    """The same with the reader, where that is a caliper in this process, or with the one in the folder. Raises ModelError."""
    from keylike.readers.caliper.reader import CaliperReader

    return families(reader if isinstance(reader, CaliperReader) else load(caliper))
