"""Read the manifest of a model folder, and compare its files with their SHA-256.

Error messages contain names of folders and files, never whole paths.

Symbolic links are accepted in three cases only, because others could open unexpected files. The
model folder itself may be a link. A link in the folder may lead to another file in it, as in a
Kubernetes volume (..data). In a download from the Hugging Face hub, a link may lead to the folder
`blobs` next to `snapshots`.
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
_MAX_MANIFEST_BYTES = 1_000_000
# Largest size in bytes of a file that is read completely: the limit of protocol buffers, and
# therefore of ONNX files.
_MAX_READ_BYTES = 2**31
# Pattern of a dotted key with more than 65 parts, which is refused because tomllib needs quadratic
# time for it.
_LONG_DOTTED_KEY = re.compile(r"""(?:\.[ \t]*(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*){65}""")
# Pattern of file names that lead to another folder on some system, or that cannot be printed.
_UNSAFE_NAME = re.compile(r"[/\\:\x00-\x1f\x7f-\x9f]|\A\.{0,2}\Z")
# Largest number of characters of a value in an error message.
_MAX_PRINTED = 80


def has_manifest(folder: Path) -> bool:
    """Return True if there is a manifest, even if it is a symbolic link to a missing file.

    A folder with such a link must not be treated as a folder without a manifest.
    """
    return os.path.lexists(folder / MANIFEST)


def manifest_bytes(folder: Path) -> bytes:
    """Return the content of the manifest.

    Raises:
        ModelError: It is missing, too large, not a regular file, or a link to another folder.
    """
    path = folder / MANIFEST
    refuse_escaping_links(folder, [MANIFEST])
    try:
        with open_file(path) as file:
            data = file.read(_MAX_MANIFEST_BYTES + 1)
    except OSError:
        raise ModelError(
            f"{display_name(path)} cannot be read: MODEL_PATH must name a folder with a model"
        ) from None
    if len(data) > _MAX_MANIFEST_BYTES:
        raise ModelError(
            f"{display_name(path)} is larger than {_MAX_MANIFEST_BYTES:,} bytes: "
            "it is not a manifest"
        )
    return data


def parse_manifest(folder: Path, data: bytes) -> dict[str, Any]:
    """Parse the manifest.

    Raises:
        ModelError: It is not valid TOML.
    """
    try:
        text = data.decode().replace("\r\n", "\n")
        if _LONG_DOTTED_KEY.search(text):
            raise ValueError("a name has too many parts")
        return tomllib.loads(text)
    except RecursionError:
        raise ModelError(
            f"{display_name(folder / MANIFEST)} is not valid TOML: it is nested too deeply"
        ) from None
    except ValueError as error:  # also raised for an integer with thousands of digits
        raise ModelError(
            f"{display_name(folder / MANIFEST)} is not valid TOML: {printable(error)}"
        ) from None


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and parse the manifest of a model folder.

    Raises:
        ModelError: It is missing or invalid.
    """
    return parse_manifest(folder, manifest_bytes(folder))


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Compare every listed file with its SHA-256.

    Raises:
        ModelError: A file is missing, changed or outside the folder.
    """
    for name, expected in _listed(folder, manifest).items():
        _compare(folder / name, sha256(folder / name), expected)


def read_files(folder: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """Check every listed file like `check_files` and return the contents.

    Each file is read once, so the returned bytes are the ones that were checked.
    """
    return {
        name: _read_listed(folder / name, expected)
        for name, expected in _listed(folder, manifest).items()
    }


def refuse_escaping_links(folder: Path, names: Iterable[str]) -> None:
    """Check symbolic links in a model folder.

    Raises:
        ModelError: One of the files `names` is a link that leads out of the folder.
    """
    root = Path(os.path.realpath(folder))
    roots = (root, root.parent.parent / "blobs") if root.parent.name == "snapshots" else (root,)
    for name in names:
        if not any(Path(os.path.realpath(folder / name)).is_relative_to(item) for item in roots):
            raise ModelError(
                f"{display_name(folder / name)} is a link that leads out of the folder: "
                "replace it by the file itself"
            )


def footprint(folder: Path, names: Iterable[str]) -> tuple[tuple[object, ...], ...]:
    """Return values that change when one of these files is replaced or written.

    The content of the files is not read.

    Raises:
        ModelError: A file is missing.
    """
    try:
        stats = [(name, os.stat(folder / name)) for name in sorted(names)]
    except OSError:
        raise ModelError(f"a file of {folder.name} is missing or cannot be read") from None
    return tuple(
        (name, item.st_dev, item.st_ino, item.st_size, item.st_mtime_ns, item.st_ctime_ns)
        for name, item in stats
    )


def open_file(path: Path) -> BufferedReader:
    """Open a regular file for reading.

    Raises:
        OSError: It cannot be opened, or it is not a regular file: a pipe would block forever, and a
            device may have no end.
    """
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, os.O_RDONLY | flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("not a regular file")
    return os.fdopen(descriptor, "rb")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    The file is read in pieces, because a weight file may be larger than the memory.

    Raises:
        ModelError: The file is missing or cannot be read.
    """
    try:
        with open_file(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        raise ModelError(f"{display_name(path)} is missing or cannot be read") from None


def display_name(path: Path) -> str:
    """Return "folder/file" for messages."""
    return f"{path.parent.name}/{path.name}" if path.parent.name else path.name


def printable(value: object) -> str:
    """Return a value of a model's manifest as text for an error message.

    It is shortened, with "?" for each unprintable character.
    """
    try:
        text = str(value)
    except ValueError:  # an integer with thousands of digits
        text = "a number"
    text = "".join(item if item.isprintable() else "?" for item in text[: _MAX_PRINTED + 1])
    return text if len(text) <= _MAX_PRINTED else text[:_MAX_PRINTED] + "…"


def _listed(folder: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    files = manifest.get("files")
    if not isinstance(files, dict) or not files:
        raise ModelError(f"{display_name(folder / MANIFEST)} lists no files")
    for name in files:
        if _UNSAFE_NAME.search(name):
            raise ModelError(
                f"{display_name(folder / MANIFEST)}: "
                f"{printable(Path(name).name)!r} is not a plain file name of this folder"
            )
    refuse_escaping_links(folder, files)
    return files


def _read_listed(path: Path, expected: str) -> bytes:
    try:
        with open_file(path) as file:
            if os.fstat(file.fileno()).st_size >= _MAX_READ_BYTES:
                raise ModelError(
                    f"{display_name(path)} is too large: a network file may have at most 2 GB"
                )
            data = file.read(_MAX_READ_BYTES)
    except OSError:
        raise ModelError(f"{display_name(path)} is missing or cannot be read") from None
    _compare(path, hashlib.sha256(data).hexdigest(), expected)
    return data


def _compare(path: Path, found: str, expected: object) -> None:
    if found != expected:
        raise ModelError(
            f"{display_name(path)} does not match its SHA-256 in the manifest: "
            "it is damaged or was altered"
        )
