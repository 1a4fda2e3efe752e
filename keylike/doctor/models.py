"""Check the folders of the configured model and of the embedded reader."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from keylike.doctor.finding import Finding, State
from keylike.errors import ModelError
from keylike.readers.gemma.base import find_base
from keylike.readers.gemma.weights import read_json
from keylike.readers.model_files import MANIFEST, read_manifest

Inspect = Callable[[Path], str]
# Files by which a Gemma folder without a manifest is recognized: the first belongs to a LoRA
# adapter, the second to a complete model.
_ADAPTER, _WHOLE = "adapter_config.json", "config.json"


def model(folder: Path, inspect: Inspect, *, no_fallback: bool) -> Finding:
    """Check the model in MODEL_PATH.

    `no_fallback` is True if the embedded reader cannot or may not replace it.
    """
    meanwhile = "the server does not start" if no_fallback else "the embedded reader replaces it"
    return _inspect_folder(
        "model",
        folder,
        inspect,
        f"repair the folder, or set MODEL_PATH to another; until then {meanwhile}",
    )


def embedded(folder: Path, inspect: Inspect) -> Finding:
    """Check the embedded reader, which replaces a model that cannot be loaded."""
    return _inspect_folder(
        "embedded reader",
        folder,
        inspect,
        "restore the project's folder models/caliper, or check KEYLIKE_MODELS",
    )


def is_gemma(folder: Path) -> bool:
    """Return True if a folder seems to contain a Gemma model; its files are not verified."""
    try:
        return str(read_manifest(folder).get("kind")).startswith("gemma")
    except ModelError:
        return not os.path.exists(folder / MANIFEST) and any(
            os.path.exists(folder / name) for name in (_ADAPTER, _WHOLE)
        )


def loaded_folders(folder: Path, *, base_model: Path | None, models: Path) -> tuple[Path, ...]:
    """Return the folders whose weights are loaded.

    These are the folder of the model and, for a LoRA adapter, that of its base model if found.
    """
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


def changeable_by_others(folder: Path) -> list[str]:
    """Return the names of files and folders through which another user could replace the model.

    The folder, its files and its parents are checked. Another user can change one of them if all
    users or another group may write to it, or if its owner is neither root nor this user. Parents
    with the sticky bit, such as /tmp, are safe. If a folder cannot be read, the result is empty;
    the check of the model reports that.
    """
    if os.name != "posix":
        return []
    real = folder.resolve()
    try:
        files = sorted(path for path in real.rglob("*") if not path.is_symlink())
        return [
            path.name or str(path)
            for path in (*reversed(real.parents), real, *files)
            if _is_changeable_by_others(path, is_parent=path in real.parents)
        ]
    except OSError:
        return []


def _is_changeable_by_others(path: Path, *, is_parent: bool) -> bool:
    status = path.stat()
    if is_parent and status.st_mode & stat.S_ISVTX:
        return False
    group_writes = bool(status.st_mode & stat.S_IWGRP) and status.st_gid not in (0, os.getegid())
    return (
        bool(status.st_mode & stat.S_IWOTH)
        or group_writes
        or status.st_uid not in (0, os.geteuid())
    )


def _base_of(folder: Path) -> str:
    """Return the base model that the manifest names, or "".

    Raises:
        ModelError: The manifest is broken.
    """
    return str(read_manifest(folder).get("base") or "") if os.path.exists(folder / MANIFEST) else ""


def _inspect_folder(name: str, folder: Path, inspect: Inspect, advice: str) -> Finding:
    try:
        description = f"{folder}: {inspect(folder)}"
        changeable = changeable_by_others(folder)
        if changeable:
            return Finding(
                name,
                State.WARN,
                f"{description}; other users can change {', '.join(changeable[:3])}",
                "anyone who can change a model can change its readings: remove the write "
                "permission of others (chmod -R go-w), and make yourself or root the owner",
            )
        return Finding(name, State.OK, description)
    except ModelError as error:
        return Finding(name, State.FAULT, f"{folder}: {error}", advice)
    except OSError as error:
        return Finding(name, State.FAULT, f"{folder} cannot be read: {error.strerror}", advice)
