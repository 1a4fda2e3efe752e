"""Checks memory, disk space, and whether the log can be written.

os.path.exists in place of Path.exists: it answers no where the rights to look are missing, where the other raises.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from keylike.doctor.finding import Finding, State, shown

# Beyond the weights: what loading and reading take on the way.
_SPARE = 1.3
# Weights in 16 bits that are held in 4.
_SMALLEST = 0.25
_WEIGHTS = (".safetensors", ".onnx")
LOG = "api.log"


def weights(folders: Iterable[Path]) -> int:
    """The bytes of all files of weights in these folders; each folder counts once, one that cannot be read not at all."""
    distinct = {folder.resolve() for folder in folders if os.path.isdir(folder)}
    try:
        return sum(
            path.stat().st_size
            for folder in distinct
            for path in folder.iterdir()
            if path.suffix in _WEIGHTS
        )
    # The check of the model says why.
    except OSError:
        return 0


def memory(name: str, free: int | None, weigh: int, photos: int) -> Finding:
    """Whether weights of `weigh` bytes fit into `free` bytes, and beside them the most that decoding `photos` takes, in bytes."""
    if free is None:
        return Finding(name, State.NOTE, "not looked at: psutil is not installed")
    model = int(_SPARE * weigh)
    takes = [f"the model takes about {shown(model)}"] if weigh else []
    takes += [f"large photos up to {shown(photos)}"] if photos else []
    saw = f"{shown(free)} free; {', '.join(takes)}"
    if free < _SMALLEST * weigh:
        return Finding(
            name,
            State.FAULT,
            saw,
            "the model does not fit, even in 4 bits: free some, or serve a smaller model",
        )
    if free < model:
        return Finding(
            name, State.WARN, saw, "the model may not fit: free some, or set KEYLIKE_PRECISION=nf4"
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
    """Whether api.log can be written to `folder`, or the folder be made; nothing stays behind."""
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)):
            pass
        if os.path.exists(folder / LOG):
            with (folder / LOG).open("ab"):
                pass
    except OSError as error:
        return Finding(
            "logs",
            State.FAULT,
            f"{folder}: {error.strerror}",
            "give yourself the right to write there, or set KEYLIKE_LOGS",
        )
    return Finding(
        "logs",
        State.OK,
        f"{folder} can be written" + ("" if os.path.exists(folder) else "; it will be made"),
    )


def space(name: str, folder: Path, least: int) -> Finding:
    """Whether the disk of `folder` has `least` bytes left."""
    free = shutil.disk_usage(_existing(folder)).free
    if free < least:
        return Finding(
            name,
            State.WARN,
            f"{shown(free)} free",
            f"free some of it: less than {shown(least)} is left",
        )
    return Finding(name, State.OK, f"{shown(free)} free")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists and may be seen."""
    return next(
        each for each in (folder.absolute(), *folder.absolute().parents) if os.path.exists(each)
    )
