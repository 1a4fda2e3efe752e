"""Finds the base model that a LoRA adapter belongs to, on this machine alone."""

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
    """The folder of the base called by one of `names` (folders or hub names, the likeliest first).

    `base_model` goes before all of them; then each name is looked for as a path, under `models`, beside the adapter, and among what
    was once downloaded from the hub. Raises ModelError that says which base is wanted.
    """
    if base_model is not None:
        if base_model.is_dir():
            return base_model
        raise ModelError(f"KEYLIKE_BASE_MODEL: there is no folder {base_model.name}")
    for name in names:
        for place in _places(name, adapter, models):
            if place is not None and place.resolve() != adapter.resolve():
                return place
    wanted = " or ".join(dict.fromkeys(map(shown, names))) or "its manifest does not say which"
    raise ModelError(
        f"{adapter.name} is a LoRA adapter, and its base model is not here ({wanted}): "
        "put the base's folder beside it, or name it with KEYLIKE_BASE_MODEL"
    )


def shown(name: str) -> str:
    """A base's name for messages: a hub name whole, the last part of a path."""
    return name if _HUB_NAME.fullmatch(name) else last_part(name)


def last_part(name: str) -> str:
    """What comes after the last slash of either kind; adapters may have been trained on Windows."""
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1]


def _places(name: str, adapter: Path, models: Path | None) -> Iterator[Path | None]:
    # A path of the machine it was trained on is no more than a name here, unless it is a whole one.
    yield _first(path for path in (Path(name),) if path.is_absolute() and path.is_dir())
    yield _under(models, name)
    yield _under(adapter.parent, name)
    yield _downloaded(name)
    yield _first(path for path in (adapter.parent / name, Path(name)) if path.is_dir())


def _under(place: Path | None, name: str) -> Path | None:
    """The folder of that last name; small and capital letters count the same, since Unsloth writes names in small ones."""
    if place is None or not place.is_dir():
        return None
    return _first(
        path
        for path in sorted(place.iterdir())
        if path.name.lower() == last_part(name).lower() and path.is_dir()
    )


def _downloaded(name: str) -> Path | None:
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
