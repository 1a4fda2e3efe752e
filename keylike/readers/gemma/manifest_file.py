"""Write a fitted calibration to the manifest.toml of a Gemma folder.

Older folders without a manifest get a complete one.
"""

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
from keylike.readers.model_files import MANIFEST, display_name, sha256


def write_fitted(
    folder: Path,
    manifest: GemmaManifest,
    calibration: Temperature | Isotonic,
    agreement: Agreement | None = None,
    *,
    models: Path | None = None,
) -> None:
    """Write [calibration], and [agreement] if given, to the folder's manifest.

    Everything else stays unchanged, including comments.

    Args:
        folder: Folder of the model.
        manifest: Manifest in use. All of it is written if the folder has no manifest file.
        calibration: Fitted calibration.
        agreement: Fitted probability of the same mistake, or None.
        models: Folder in which the base model is searched, or None.

    Raises:
        ModelError: The manifest cannot be written.
    """
    path = folder / MANIFEST
    try:
        document = (
            tomlkit.parse(path.read_bytes())
            if path.exists()
            else full_manifest(folder, _with_base(folder, manifest, models))
        )
        _set(document, "calibration", calibration)
        if agreement:
            _set(document, "agreement", agreement)
        text = tomlkit.dumps(document)
        # Parse the new text first: an invalid manifest must not replace the old one.
        gemma_manifest(tomllib.loads(text))
        _replace(path, text.encode())
    except OSError as error:
        raise ModelError(f"{display_name(path)} cannot be written: {error.strerror}") from None


def full_manifest(
    folder: Path, manifest: GemmaManifest, *, extra: Mapping[str, str] | None = None
) -> tomlkit.TOMLDocument:
    """Return the complete manifest of a folder.

    It contains the manifest in use, the `extra` entries, and the SHA-256 of every file that the
    libraries may open.
    """
    document = tomlkit.document()
    for name in ("name", "version", "kind", "base", "keyways"):
        value = getattr(manifest, name)
        if value is not None:
            document[name] = list(value) if isinstance(value, tuple) else value
    for name, value in (extra or {}).items():
        document[name] = value
    # All such files must be listed, because the loader refuses a folder with unlisted ones.
    files = sorted(path for path in folder.iterdir() if path.suffix in OPENED)
    document["files"] = _table({path.name: sha256(path) for path in files})
    if manifest.base_files:
        document["base_files"] = _table(manifest.base_files)
    for name in ("prompt", "picture", "reply"):
        document[name] = _table(_plain(getattr(manifest, name)))
    if manifest.depths:
        document["depths"] = {
            keyway: {str(number): depth for number, depth in scale.items()}
            for keyway, scale in manifest.depths.items()
        }
    return document


def _with_base(folder: Path, manifest: GemmaManifest, models: Path | None) -> GemmaManifest:
    """Return the manifest with the name of the adapter's base model.

    It is the name in the adapter's configuration or the default name: the first one for which a
    folder is found.
    """
    if manifest.kind != "gemma-lora":
        return manifest
    trained_on = str(read_json(folder / ADAPTER).get("base_model_name_or_path") or "")
    names = [name for name in (trained_on, manifest.base) if name]
    return manifest.model_copy(
        update={
            "base": next(
                (name for name in names if _base_exists(folder, name, models)),
                next(iter(names), None),
            )
        }
    )


def _base_exists(folder: Path, name: str, models: Path | None) -> bool:
    try:
        return bool(find_base(folder, [name], base_model=None, models=models))
    except ModelError:
        return False


def _set(document: tomlkit.TOMLDocument, name: str, value: BaseModel) -> None:
    """Replace the values of a table but keep its comments, or append a new table."""
    values = _plain(value)
    if name not in document:
        document.add(tomlkit.nl())
        document[name] = _table(values)
        return
    table: Any = document[name]
    for old in [key for key in table if key not in values]:
        del table[old]
    for key, item in values.items():
        table[key] = _item(item)


def _table(values: Mapping[str, Any]) -> Table:
    table = tomlkit.table()
    for key, value in values.items():
        table[key] = _item(value)
    return table


def _item(value: Any) -> Item:
    """Return a TOML item. A list of points is written with one point per line."""
    item = tomlkit.item(value)
    return item.multiline(True) if isinstance(item, Array) and isinstance(value[0], list) else item


def _plain(value: BaseModel) -> dict[str, Any]:
    return value.model_dump(mode="json", exclude_none=True)


def _replace(path: Path, data: bytes) -> None:
    """Replace the file atomically, so that readers see either the old or the new content."""
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        temporary = Path(file.name)
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
