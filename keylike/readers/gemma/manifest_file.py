"""Writes what was fitted into a Gemma folder's manifest.toml, and the whole manifest where an older folder has none."""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import BaseModel
from tomlkit.items import Array, Item, Table

from keylike.errors import ModelError
from keylike.readers.gemma.base import find_base
from keylike.readers.gemma.configs import ADAPTER
from keylike.readers.gemma.folder import OPENED
from keylike.readers.gemma.manifest import (
    Agreement,
    GemmaManifest,
    Isotonic,
    Temperature,
    gemma_manifest,
)
from keylike.readers.gemma.weights import read_json
from keylike.readers.model_files import MANIFEST, called, sha256


def write_fitted(
    folder: Path,
    manifest: GemmaManifest,
    calibration: Temperature | Isotonic,
    agreement: Agreement | None = None,
    *,
    models: Path | None = None,
) -> None:
    """Sets [calibration], and [agreement] where there is one, in the folder's manifest; all else in it, comments too, stays as it is.

    A folder without one gets `manifest`, the one in use, written in full; `models` is where its base is looked for besides. Raises
    ModelError where it cannot be written.
    """
    path = folder / MANIFEST
    try:
        document = (
            tomlkit.parse(path.read_bytes())
            if path.exists()
            else in_full(folder, _with_base(folder, manifest, models))
        )
        _set(document, "calibration", calibration)
        if agreement:
            _set(document, "agreement", agreement)
        text = tomlkit.dumps(document)
        # What could not be read back must never take the old manifest's place.
        gemma_manifest(tomllib.loads(text))
        _replace(path, text.encode())
    except OSError as error:
        raise ModelError(f"{called(path)} cannot be written: {error.strerror}") from None


def in_full(
    folder: Path, manifest: GemmaManifest, *, told: Mapping[str, str] | None = None
) -> tomlkit.TOMLDocument:
    """The whole manifest of a folder: all that is in use, what is `told` besides, and the SHA-256 of every file that is opened."""
    document = tomlkit.document()
    for name in ("name", "version", "kind", "base", "keyways"):
        value = getattr(manifest, name)
        if value is not None:
            document[name] = list(value) if isinstance(value, tuple) else value
    for name, line in (told or {}).items():
        document[name] = line
    # The loader refuses a file that it would open and that is not listed.
    files = sorted(path for path in folder.iterdir() if path.suffix in OPENED)
    document["files"] = _table({path.name: sha256(path) for path in files})
    if manifest.base_files:
        document["base_files"] = _table(manifest.base_files)
    for name in ("prompt", "picture", "reply"):
        document[name] = _table(_plain(getattr(manifest, name)))
    if manifest.depths:
        document["depths"] = {
            way: {str(said): depth for said, depth in scale.items()}
            for way, scale in manifest.depths.items()
        }
    return document


def _with_base(folder: Path, manifest: GemmaManifest, models: Path | None) -> GemmaManifest:
    """With the name by which an adapter's base is found: the adapter's own goes before the default only while there is no manifest."""
    if manifest.kind != "gemma-lora":
        return manifest
    trained_on = str(read_json(folder / ADAPTER).get("base_model_name_or_path") or "")
    names = [name for name in (trained_on, manifest.base) if name]
    return manifest.model_copy(
        update={
            "base": next(
                (name for name in names if _found(folder, name, models)), next(iter(names), None)
            )
        }
    )


def _found(folder: Path, name: str, models: Path | None) -> bool:
    try:
        return bool(find_base(folder, [name], base_model=None, models=models))
    except ModelError:
        return False


def _set(document: tomlkit.TOMLDocument, name: str, value: BaseModel) -> None:
    """Puts a table's values into the one that is there, whose comments stay, or adds it at the end."""
    values = _plain(value)
    if name not in document:
        document.add(tomlkit.nl())
        document[name] = _table(values)
        return
    table: Any = document[name]
    for old in [key for key in table if key not in values]:
        del table[old]
    for key, each in values.items():
        table[key] = _item(each)


def _table(values: Mapping[str, Any]) -> Table:
    table = tomlkit.table()
    for key, value in values.items():
        table[key] = _item(value)
    return table


def _item(value: Any) -> Item:
    """Points one a line, as they are read."""
    item = tomlkit.item(value)
    return item.multiline(True) if isinstance(item, Array) and isinstance(value[0], list) else item


def _plain(value: BaseModel) -> dict[str, Any]:
    return value.model_dump(mode="json", exclude_none=True)


def _replace(path: Path, data: bytes) -> None:
    """Writes beside `path` and renames: whoever reads meanwhile sees the old file or the new one, whole."""
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        beside = Path(file.name)
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            beside.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
