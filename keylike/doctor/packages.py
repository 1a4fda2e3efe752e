"""Checks Python's version, and the pins of the requirements files against what is installed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keylike.doctor.finding import Finding, State

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OLDEST, NEWEST = (3, 11), (3, 13)
_FOR_GEMMA = "only needed for Gemma: make serve-gemma"


@dataclass(frozen=True, slots=True)
class Compared:
    """The pins of a file: the names that are not installed, those of another version in words, and how many are as pinned."""

    lacking: tuple[str, ...]
    other: tuple[str, ...]
    right: int

    @property
    def saw(self) -> str:
        """All of it in words."""
        lacking = [f"not installed: {', '.join(self.lacking)}"] if self.lacking else []
        return "; ".join([*lacking, *self.other, f"{self.right} as pinned"])


def python(version: tuple[int, int]) -> Finding:
    """Whether the pinned packages exist for this Python."""
    saw, known = f"{version[0]}.{version[1]}", f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    if version < OLDEST:
        return Finding("Python", State.FAULT, saw, f"Keylike needs Python {known}")
    if version > NEWEST:
        return Finding(
            "Python", State.WARN, saw, f"the pinned packages are made for Python {known}"
        )
    return Finding("Python", State.OK, saw)


def required(file: Path) -> Finding:
    """Whether what the server needs is installed; `file` is requirements.txt."""
    remedy = f"make serve, or pip install -r {file.name}"
    try:
        found = compare(file)
    except OSError:
        return Finding(
            "packages", State.FAULT, f"{file} cannot be read", "fetch the project's files again"
        )
    except ModuleNotFoundError as error:
        return Finding("packages", State.FAULT, f"not installed: {error.name}", remedy)
    state = State.FAULT if found.lacking else State.WARN if found.other else State.OK
    return Finding("packages", state, found.saw, "" if state is State.OK else remedy)


def for_gemma(file: Path, *, wanted: bool, torch: bool) -> Finding:
    """The same for requirements-gemma.txt, which nobody needs unless a Gemma model is `wanted`; `torch`: PyTorch is installed."""
    name = "packages for Gemma"
    if not (wanted or torch):
        return Finding(name, State.NOTE, "not installed", _FOR_GEMMA)
    try:
        found = compare(file)
    except OSError:
        return Finding(
            name,
            State.WARN if wanted else State.NOTE,
            f"{file} cannot be read",
            "fetch the project's files again",
        )
    except ModuleNotFoundError as error:
        return Finding(name, State.NOTE, f"could not be compared without {error.name}")
    if not (found.lacking or found.other):
        return Finding(name, State.OK, found.saw)
    if not wanted:
        return Finding(name, State.NOTE, found.saw, _FOR_GEMMA)
    return Finding(
        name,
        State.FAULT if found.lacking else State.WARN,
        found.saw,
        f"make serve-gemma, or pip install -r {file.name}",
    )


def compare(file: Path) -> Compared:
    """Holds each pin against what is installed. Raises OSError, and ModuleNotFoundError without `packaging`."""
    lacking, other, right = [], [], 0
    for pin in _pins(file):
        try:
            version = importlib.metadata.version(pin.name)
        except importlib.metadata.PackageNotFoundError:
            lacking.append(pin.name)
            continue
        if pin.specifier.contains(version, prereleases=True):
            right += 1
        else:
            other.append(f"{pin.name} is {version}, not {pin.specifier}")
    return Compared(tuple(lacking), tuple(other), right)


def _pins(file: Path) -> Iterator[Requirement]:
    """Those for this machine; options such as -r are passed over."""
    from packaging.requirements import Requirement

    for line in file.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text and not text.startswith("-"):
            pin = Requirement(text)
            if pin.marker is None or pin.marker.evaluate():
                yield pin
