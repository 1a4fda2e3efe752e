"""Checks the folder of the model to serve, and that of the embedded reader."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from keylike.doctor.finding import Finding, State
from keylike.errors import ModelError
from keylike.readers.gemma.base import find_base
from keylike.readers.gemma.weights import read_json
from keylike.readers.model_files import MANIFEST, read_manifest

Inspect = Callable[[Path], str]
# What a Gemma folder of an older guide holds; it has no manifest.
_ADAPTER, _WHOLE = "adapter_config.json", "config.json"


def model(folder: Path, inspect: Inspect, *, alone: bool) -> Finding:
    """The model that MODEL_PATH names; `alone`: nothing else could answer in its place."""
    meanwhile = "the server does not start" if alone else "the embedded reader answers in its place"
    return _look(
        "model",
        folder,
        inspect,
        f"mend the folder, or let MODEL_PATH name another; until then {meanwhile}",
    )


def embedded(folder: Path, inspect: Inspect) -> Finding:
    """The reader that is shipped with the project, which also answers where another model cannot."""
    return _look(
        "embedded reader",
        folder,
        inspect,
        "fetch the project's files again (models/caliper), or look at KEYLIKE_MODELS",
    )


def is_gemma(folder: Path) -> bool:
    """Whether a folder is meant to hold a Gemma model, as far as one can tell without checking it."""
    try:
        return str(read_manifest(folder).get("kind")).startswith("gemma")
    except ModelError:
        return not os.path.exists(folder / MANIFEST) and any(
            os.path.exists(folder / name) for name in (_ADAPTER, _WHOLE)
        )


def opened(folder: Path, *, base_model: Path | None, models: Path) -> tuple[Path, ...]:
    """The folders whose weights are loaded: the model's, and that of the base of a LoRA where it can be found."""
    if not os.path.exists(folder / _ADAPTER):
        return (folder,)
    try:
        names = [
            _base_of(folder),
            str(read_json(folder / _ADAPTER).get("base_model_name_or_path") or ""),
        ]
        return folder, find_base(
            folder, [name for name in names if name], base_model=base_model, models=models
        )
    except ModelError:
        return (folder,)


def _base_of(folder: Path) -> str:
    """The base that a manifest names, "" where none does. Raises ModelError for a manifest that is broken."""
    return str(read_manifest(folder).get("base") or "") if os.path.exists(folder / MANIFEST) else ""


def _look(name: str, folder: Path, inspect: Inspect, advice: str) -> Finding:
    try:
        return Finding(name, State.OK, f"{folder}: {inspect(folder)}")
    except ModelError as error:
        return Finding(name, State.FAULT, f"{folder}: {error}", advice)
    except OSError as error:
        return Finding(name, State.FAULT, f"{folder} cannot be read: {error.strerror}", advice)
