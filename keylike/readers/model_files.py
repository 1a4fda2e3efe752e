"""A model folder's manifest.toml, and its files held against the SHA-256 it gives for each. Messages name folders, never whole paths.

Links: the folder itself may be one, since whoever names it in the settings does so knowingly. A link inside may lead anywhere inside, as
Kubernetes lays out its volumes (..data), and from a download of the hub's to the blobs beside it; any other would bring in files that
neither the folder nor its manifest shows.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any

from keylike.errors import ModelError

MANIFEST = "manifest.toml"
_LARGEST_MANIFEST = 1_000_000
# Protocol buffers, and so ONNX files, cannot be larger.
_LARGEST_READ = 2**31
# Names of so many parts take tomllib a time that grows with the square of their number.
_MANY_PARTS = re.compile(r"""(?:\.[ \t]*(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*){65}""")
# What leads elsewhere on some system, or cannot be shown.
_NO_PLAIN_NAME = re.compile(r"[/\\:\x00-\x1f\x7f-\x9f]|\A\.{0,2}\Z")
_SHOWN = 80


def has_manifest(folder: Path) -> bool:
    """Whether a manifest lies there, if only as a link that leads nowhere: then its folder must not pass for one without."""
    return os.path.lexists(folder / MANIFEST)


def manifest_bytes(folder: Path) -> bytes:
    """The manifest as it lies there. Raises ModelError where it is missing, is no ordinary file, or is a link out of the folder."""
    path = folder / MANIFEST
    refuse_escaping_links(folder, [MANIFEST])
    try:
        with open_file(path) as file:
            data = file.read(_LARGEST_MANIFEST + 1)
    except OSError:
        raise ModelError(
            f"{called(path)} cannot be read: MODEL_PATH must name a folder that holds a model"
        ) from None
    if len(data) > _LARGEST_MANIFEST:
        raise ModelError(
            f"{called(path)} is larger than {_LARGEST_MANIFEST:,} bytes: it is no manifest"
        )
    return data


def parse_manifest(folder: Path, data: bytes) -> dict[str, Any]:
    """The manifest's table. Raises ModelError where it is not TOML."""
    try:
        text = data.decode().replace("\r\n", "\n")
        if _MANY_PARTS.search(text):
            raise ValueError("a name has too many parts")
        return tomllib.loads(text)
    except RecursionError:
        raise ModelError(
            f"{called(folder / MANIFEST)} is not valid TOML: it is nested too deep"
        ) from None
    except ValueError as error:  # also of a whole number with thousands of digits
        raise ModelError(f"{called(folder / MANIFEST)} is not valid TOML: {shown(error)}") from None


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a model folder. Raises ModelError where it is missing or is not TOML."""
    return parse_manifest(folder, manifest_bytes(folder))


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Compares every file the manifest lists with its SHA-256. Raises ModelError for one that is missing, altered or outside."""
    for name, expected in _listed(folder, manifest).items():
        _compare(folder / name, sha256(folder / name), expected)


def read_files(folder: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """The same, and gives each file's content, read once: what was checked is what is used, whatever happens to the files meanwhile."""
    return {
        name: _read_listed(folder / name, expected)
        for name, expected in _listed(folder, manifest).items()
    }


def refuse_escaping_links(folder: Path, names: Iterable[str]) -> None:
    """Raises ModelError where one of these files of a model folder is a link that leads out of it."""
    home = Path(os.path.realpath(folder))
    homes = (home, home.parent.parent / "blobs") if home.parent.name == "snapshots" else (home,)
    for name in names:
        if not any(Path(os.path.realpath(folder / name)).is_relative_to(each) for each in homes):
            raise ModelError(
                f"{called(folder / name)} is a link that leads out of the folder: put the file "
                "itself there"
            )


def footprint(folder: Path, names: Iterable[str]) -> tuple[tuple[object, ...], ...]:
    """What tells whether one of these files was replaced or written to since: no content is read. Raises ModelError."""
    try:
        stats = [(name, os.stat(folder / name)) for name in sorted(names)]
    except OSError:
        raise ModelError(f"a file of {folder.name} is missing or cannot be read") from None
    return tuple(
        (name, each.st_dev, each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns)
        for name, each in stats
    )


def open_file(path: Path) -> BufferedReader:
    """An ordinary file, for reading. Raises OSError for all else: a pipe would wait for ever, and a device never end."""
    plain = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, os.O_RDONLY | plain)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("no ordinary file")
    return os.fdopen(descriptor, "rb")


def sha256(path: Path) -> str:
    """A file's SHA-256 in hexadecimal, read piece by piece: shards of a model are larger than memory. Raises ModelError."""
    try:
        with open_file(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        raise ModelError(f"{called(path)} is missing or cannot be read") from None


def called(path: Path) -> str:
    """How a file is named in messages: its folder and its own name."""
    return f"{path.parent.name}/{path.name}" if path.parent.name else path.name


def shown(value: object) -> str:
    """A value of a model folder's own as it may stand in a message: not long, and without control characters."""
    try:
        text = str(value)
    except ValueError:  # a whole number with thousands of digits
        text = "a number"
    text = "".join(each if each.isprintable() else "?" for each in text[: _SHOWN + 1])
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _listed(folder: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    files = manifest.get("files")
    if not isinstance(files, dict) or not files:
        raise ModelError(f"{called(folder / MANIFEST)} lists no files")
    for name in files:
        if _NO_PLAIN_NAME.search(name):
            raise ModelError(
                f"{called(folder / MANIFEST)}: {shown(Path(name).name)!r} is not a plain file name "
                "of this folder"
            )
    refuse_escaping_links(folder, files)
    return files


def _read_listed(path: Path, expected: str) -> bytes:
    try:
        with open_file(path) as file:
            if os.fstat(file.fileno()).st_size >= _LARGEST_READ:
                raise ModelError(
                    f"{called(path)} is too large: 2 GB are the most that one file of a network "
                    "can have"
                )
            data = file.read(_LARGEST_READ)
    except OSError:
        raise ModelError(f"{called(path)} is missing or cannot be read") from None
    _compare(path, hashlib.sha256(data).hexdigest(), expected)
    return data


def _compare(path: Path, found: str, expected: object) -> None:
    if found != expected:
        raise ModelError(
            f"{called(path)} does not match its SHA-256 in the manifest: it is damaged or was "
            "altered"
        )
