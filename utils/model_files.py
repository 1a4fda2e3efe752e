"""A model folder's manifest.toml, and its files held against the SHA-256 it gives for each. Messages name folders, never whole paths."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from utils.errors import ModelError

MANIFEST = "manifest.toml"


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a model folder. Raises ModelError where it is missing or is not TOML."""
    path = folder / MANIFEST
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ModelError(f"{called(path)} cannot be read: MODEL_PATH must name a folder that holds a model") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{called(path)} is not valid TOML: {error}") from None


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Compares every file the manifest lists with its SHA-256. Raises ModelError for one that is missing, altered or outside."""
    files = manifest.get("files")
    if not isinstance(files, dict) or not files:
        raise ModelError(f"{called(folder / MANIFEST)} lists no files")
    for name, expected in files.items():
        if Path(name).name != name:
            raise ModelError(f"{called(folder / MANIFEST)}: {Path(name).name!r} is not a plain file name of this folder")
        if sha256(folder / name) != expected:
            raise ModelError(f"{called(folder / name)} does not match its SHA-256 in the manifest: it is damaged or was altered")


def refuse_ways_out(folder: Path, names: Iterable[str]) -> None:
    """Raises ModelError where one of these files of a model folder lies somewhere else, or is a link to there."""
    for name in names:
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise ModelError(f"{called(folder / name)} leads out of the folder: put the file itself there")


def sha256(path: Path) -> str:
    """A file's SHA-256 in hexadecimal, read piece by piece: shards of a model are larger than memory. Raises ModelError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        raise ModelError(f"{called(path)} is missing or cannot be read") from None


def called(path: Path) -> str:
    """How a file is named in messages: its folder and its own name."""
    return f"{path.parent.name}/{path.name}" if path.parent.name else path.name
