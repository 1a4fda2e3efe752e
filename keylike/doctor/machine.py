"""Check processors, memory, disk space and the log folder.

os.path.exists is used because, without permission, it returns False while Path.exists raises an
exception.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from keylike.doctor.finding import Finding, State, format_bytes
from keylike.observability.processors import Processors

# Memory that loading and reading take, as a multiple of the size of the weights.
_SPARE = 1.3
# Size of 4-bit weights as a share of the size of 16-bit weights.
_SMALLEST = 0.25
_WEIGHTS = (".safetensors", ".onnx")
LOG = "api.log"


def weight_bytes(folders: Iterable[Path]) -> int:
    """Return the total size of the weight files in these folders, in bytes.

    A folder that is listed twice counts once. Unreadable folders are skipped.
    """
    distinct = {folder.resolve() for folder in folders if os.path.isdir(folder)}
    try:
        return sum(
            path.stat().st_size
            for folder in distinct
            for path in folder.iterdir()
            if path.suffix in _WEIGHTS
        )
    # The check of the model folder reports the error.
    except OSError:
        return 0


def processors(found: Processors, at_once: int) -> Finding:
    """Check that there are enough processor cores for the photos that are read at the same time."""
    saw = f"{found.cores} core{'s' if found.cores > 1 else ''}"
    if found.quota is not None:
        saw += f", of which a quota allows {found.quota:g}"
    saw += f"; {at_once} photo{'s' if at_once > 1 else ''} at the same time"
    if at_once <= found.usable:
        return Finding("processors", State.OK, saw)
    advice = (
        f"more than {found.usable} only takes memory: lower KEYLIKE_THREADS or KEYLIKE_PROCESSES"
    )
    return Finding("processors", State.NOTE, saw, advice)


def memory(name: str, free: int | None, size: int, photos: int) -> Finding:
    """Check that the model and the photos fit into memory.

    Args:
        name: name of the finding.
        free: available bytes, or None if unknown.
        size: size of the weights in bytes.
        photos: largest number of bytes that decoding takes, for all photos at the same time.
    """
    if free is None:
        return Finding(name, State.NOTE, "not checked: psutil is not installed")
    model = int(_SPARE * size)
    takes = [f"the model takes about {format_bytes(model)}"] if size else []
    takes += [f"large photos up to {format_bytes(photos)}"] if photos else []
    saw = f"{format_bytes(free)} free; {', '.join(takes)}"
    if free < _SMALLEST * size:
        return Finding(
            name,
            State.FAULT,
            saw,
            "the model does not fit, even in 4 bits: free memory, or serve a smaller model",
        )
    if free < model:
        return Finding(
            name,
            State.WARN,
            saw,
            "the model may not fit: free memory, or set KEYLIKE_PRECISION=nf4",
        )
    if free < model + photos:
        return Finding(
            name,
            State.WARN,
            saw,
            "large photos may not fit: lower KEYLIKE_MAX_MEMORY or KEYLIKE_THREADS",
        )
    return Finding(name, State.OK, saw)


def writable(folder: Path) -> Finding:
    """Check that api.log can be written to `folder`, or that the folder can be created.

    The check creates only a temporary file, and deletes it.
    """
    try:
        with tempfile.TemporaryFile(dir=_nearest_existing(folder)):
            pass
        if os.path.exists(folder / LOG):
            with (folder / LOG).open("ab"):
                pass
    except OSError as error:
        return Finding(
            "logs",
            State.FAULT,
            f"{folder}: {error.strerror}",
            "grant yourself write permission, or set KEYLIKE_LOGS to another folder",
        )
    return Finding(
        "logs",
        State.OK,
        f"{folder} is writable" + ("" if os.path.exists(folder) else "; it will be created"),
    )


def space(name: str, folder: Path, least: int) -> Finding:
    """Check that the disk of `folder` has at least `least` free bytes."""
    free = shutil.disk_usage(_nearest_existing(folder)).free
    if free < least:
        return Finding(
            name,
            State.WARN,
            f"{format_bytes(free)} free",
            f"free some space: less than {format_bytes(least)} is left",
        )
    return Finding(name, State.OK, f"{format_bytes(free)} free")


def _nearest_existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists and is accessible."""
    return next(
        each for each in (folder.absolute(), *folder.absolute().parents) if os.path.exists(each)
    )
