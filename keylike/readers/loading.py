"""Load the reader of a model folder after checking its manifest and files.

A model folder contains `manifest.toml`, whose table `[files]` lists the SHA-256 of each file. No
file is opened before all hashes match.
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
    check_files,
    display_name,
    has_manifest,
    printable,
    read_manifest,
)

if TYPE_CHECKING:
    from keylike.readers.caliper.reader import CaliperReader

KINDS = ("caliper", "gemma-lora", "gemma-merged")
# Probability that two wrong readings contain the same code, and whether it was fitted, for a model
# without a fitted value.
UNFITTED = (0.5, False)


@dataclass(frozen=True, slots=True)
class Choices:
    """Options for loading a model. The settings with the same names describe them.

    Attributes:
        models: Folder that may contain base models.
        base_model: Base model of an adapter.
        backend: Library that runs Gemma.
        precision: Precision of the weights.
        max_batch: Largest batch for Gemma.
        finder_folder: Folder of a caliper that finds the key in a photo for other readers.
    """

    models: Path | None = None
    base_model: Path | None = None
    backend: str = "auto"
    precision: str = "auto"
    max_batch: int = 4
    finder_folder: Path | None = None


DEFAULTS = Choices()


def why(error: BaseException) -> str:
    """Return why a model could not be loaded, in one line for /health.

    It does not contain messages of libraries, because these may contain paths.
    """
    if isinstance(error, Overloaded):
        return (
            "the model could not be loaded (Overloaded): no memory is left for reading a photo; "
            "KEYLIKE_PRECISION=nf4 needs the least"
        )
    return (
        str(error)
        if isinstance(error, ModelError)
        else f"the model could not be loaded ({type(error).__name__})"
    )


def load(folder: Path, choices: Choices = DEFAULTS) -> Reader:
    """Check a model folder and load its reader. A folder without a manifest must be a Gemma folder.

    Raises:
        ModelError: The folder cannot be loaded. The message is one line.
    """
    manifest = read_manifest(folder) if has_manifest(folder) else {"kind": "gemma"}
    match manifest.get("kind"):
        case "caliper":
            return _caliper(folder)
        case "gemma" | "gemma-lora" | "gemma-merged":
            return _gemma(folder, choices)
        case kind:
            raise ModelError(
                f"{display_name(folder / MANIFEST)}: "
                f"models of kind {printable(kind)!r} are not supported; "
                f"known are {', '.join(KINDS)}"
            )


def is_caliper(folder: Path) -> bool:
    """Return True if the folder's manifest describes a caliper.

    Raises:
        ModelError: The manifest cannot be read.
    """
    return has_manifest(folder) and read_manifest(folder).get("kind") == "caliper"


def look(folder: Path, choices: Choices = DEFAULTS) -> str:
    """Check a model folder without loading the model, and return a sentence that describes it.

    Raises:
        ModelError: The folder is invalid. The message is one line.
    """
    if is_caliper(folder):
        manifest = read_manifest(folder)
        check_files(folder, manifest)
        return (
            f"{manifest.get('name')} {manifest.get('version')} (caliper), "
            f"{len(manifest['files'])} files match its manifest"
        )
    from keylike.readers.gemma.folder import inspect

    _refuse_base_model(folder)
    checkpoint = inspect(folder, base_model=choices.base_model, models=choices.models)
    base = f" on the base {checkpoint.base.name}" if checkpoint.base else ""
    precision = ", in 4 bits" if checkpoint.quantised else ""
    assumption = (
        ""
        if has_manifest(folder)
        else f"; no {MANIFEST}: assumed to be a model of the earlier tutorial (docs/gemma.md)"
    )
    return (
        f"{checkpoint.manifest.name} {checkpoint.manifest.version} "
        f"({checkpoint.kind}{base}{precision}){assumption}"
    )


def _refuse_base_model(folder: Path) -> None:
    from keylike.readers.gemma.legacy_manifest import refuse_base_model

    if not has_manifest(folder):
        refuse_base_model(folder.resolve().name)


# Readers are imported when they are used, so that the command line does not load their libraries.
def _caliper(folder: Path) -> CaliperReader:
    from keylike.readers.caliper.reader import CaliperReader

    return CaliperReader.load(folder)


def _gemma(folder: Path, choices: Choices) -> Reader:
    from keylike.readers.gemma.folder import inspect
    from keylike.readers.gemma.reader import GemmaReader

    _refuse_base_model(folder)
    checkpoint = inspect(folder, base_model=choices.base_model, models=choices.models)
    finder = None if choices.finder_folder is None else _caliper(choices.finder_folder)
    return GemmaReader.load(
        checkpoint,
        backend=choices.backend,
        precision=choices.precision,
        max_batch=choices.max_batch,
        finder=finder,
        finder_digest=finder.info.digest if finder else "",
    )


def load_agreeing(folder: Path, caliper: Path, choices: Choices = DEFAULTS) -> Reader:
    """Load the model in `folder` and combine it with the caliper.

    Raises:
        ModelError: A model cannot be loaded, or both are calipers.
    """
    first = load(folder, choices)
    if first.info.kind == "caliper":
        raise ModelError("KEYLIKE_AGREE needs MODEL_PATH to name a model other than the caliper")
    return agreeing(first, load(caliper), agreement_of(folder))


def agreement_of(folder: Path) -> tuple[float, bool]:
    """Return the probability of the same mistake from a manifest, and True if it was fitted."""
    table = read_manifest(folder).get("agreement") if has_manifest(folder) else None
    return (float(table["shared_error"]), True) if table else UNFITTED


def agreeing(first: Reader, caliper: Reader, agreement: tuple[float, bool]) -> Reader:
    """Combine both readers into one.

    Args:
        first: Any reader.
        caliper: The embedded reader.
        agreement: Probability that two wrong readings contain the same code, and True if it was
            fitted.
    """
    shared_error, fitted = agreement
    return AgreeingReader(first, caliper, shared_error, fitted)


def load_classifier(folder: Path) -> Classifier:
    """Load a classifier from a folder of kind onnx-classifier. It is not warmed up.

    Raises:
        ModelError: The folder is invalid. The message is one line.
    """
    from keylike.readers.classifiers.network import NetworkClassifier

    return NetworkClassifier.load(folder)


def families(caliper: Reader) -> Classifier:
    """Return the caliper as a classifier of key families.

    Raises:
        ModelError: The reader is not a caliper.
    """
    from keylike.readers.caliper.reader import CaliperReader
    from keylike.readers.classifiers.families import FamilyClassifier

    if not isinstance(caliper, CaliperReader):
        raise ModelError(
            "the embedded reader is not a caliper: restore the shipped folder models/caliper"
        )
    return FamilyClassifier(caliper)
