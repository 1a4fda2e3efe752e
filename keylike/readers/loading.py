"""Loads the reader of a model folder, after a check of its manifest and files.

A model folder holds `manifest.toml`; its table `[files]` gives each file's SHA-256, and nothing is opened before all of them agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keylike.errors import ModelError, Overloaded
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
                f"{called(folder / MANIFEST)}: models of kind {shown(kind)!r} are not supported; "
                f"known are {', '.join(KINDS)}"
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
    from keylike.readers.gemma.legacy_manifest import refuse_base_model

    if not has_manifest(folder):
        refuse_base_model(folder.resolve().name)


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
