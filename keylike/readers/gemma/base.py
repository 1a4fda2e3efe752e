"""Locate the base model of a LoRA adapter on the local machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from keylike.errors import ModelError
from keylike.readers.gemma.libraries import go_offline

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def find_base(
    adapter: Path, names: Sequence[str], *, base_model: Path | None, models: Path | None
) -> Path:
    """Return the folder of the adapter's base model.

    If `base_model` is given, only that folder is used. Otherwise each name is searched in this
    order: as an absolute path; in `models`; in the folder that contains the adapter's folder; in
    the Hugging Face cache; as a relative path.

    Args:
        adapter: Folder of the adapter.
        names: Possible folder names or hub names of the base model, most likely first.
        base_model: Folder of the base model, or None to search for it.
        models: Folder with models to search, or None.

    Raises:
        ModelError: The base was not found. The message names it.
    """
    if base_model is not None:
        if base_model.is_dir():
            return base_model
        raise ModelError(f"KEYLIKE_BASE_MODEL: there is no folder {base_model.name}")
    for name in names:
        for folder in _possible_folders(name, adapter, models):
            if folder is not None and folder.resolve() != adapter.resolve():
                return folder
    wanted = " or ".join(dict.fromkeys(map(base_label, names))) or "its manifest does not name one"
    raise ModelError(
        f"{adapter.name} is a LoRA adapter, and its base model was not found ({wanted}): "
        "put the base's folder next to it, or set KEYLIKE_BASE_MODEL"
    )


def base_label(name: str) -> str:
    """Return the name of a base model for messages: a full hub name, or the last part of a path."""
    return name if _HUB_NAME.fullmatch(name) else last_part(name)


def last_part(name: str) -> str:
    """Return the part of a path after the last slash, or after the last backslash (Windows)."""
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1]


def _possible_folders(name: str, adapter: Path, models: Path | None) -> Iterator[Path | None]:
    # A relative path was valid on the machine that trained the adapter, so it is tried last.
    yield _first(path for path in (Path(name),) if path.is_absolute() and path.is_dir())
    yield _subfolder(models, name)
    yield _subfolder(adapter.parent, name)
    yield _cached_download(name)
    yield _first(path for path in (adapter.parent / name, Path(name)) if path.is_dir())


def _subfolder(folder: Path | None, name: str) -> Path | None:
    """Return the subfolder with this name, in upper or lower case, or None.

    Case is ignored because Unsloth writes names in lower case.
    """
    if folder is None or not folder.is_dir():
        return None
    return _first(
        path
        for path in sorted(folder.iterdir())
        if path.name.lower() == last_part(name).lower() and path.is_dir()
    )


def _cached_download(name: str) -> Path | None:
    if not _HUB_NAME.fullmatch(name):
        return None
    go_offline()
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    except ImportError:
        return None
    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _first(paths: Iterable[Path]) -> Path | None:
    return next(iter(paths), None)
