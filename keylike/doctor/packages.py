"""Check the version of Python, and compare the installed packages with the pinned versions."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keylike.doctor.finding import Finding, State
from keylike.resources import INSTALL_GEMMA, INSTALL_SERVER

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OLDEST, NEWEST = (3, 11), (3, 13)
_FOR_GEMMA = f"only needed for Gemma: {INSTALL_GEMMA}"
_FETCH_AGAIN = "fetch the project's files again"
# Names of packages that only PyTorch's builds for CUDA install.
_CUDA = re.compile(r"triton|cuda-[a-z]+|nvidia-[a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Compared:
    """Result of a comparison of pinned and installed packages.

    Attributes:
        lacking: Names of packages that are not installed.
        other: One phrase per package that is installed in another version.
        right: Number of packages that are installed in the pinned version.
    """

    lacking: tuple[str, ...]
    other: tuple[str, ...]
    right: int

    @property
    def saw(self) -> str:
        """Return a summary of the check on one line."""
        lacking = [f"not installed: {', '.join(self.lacking)}"] if self.lacking else []
        return "; ".join([*lacking, *self.other, f"{self.right} as pinned"])


def python(version: tuple[int, int]) -> Finding:
    """Check that the pinned packages support this version of Python."""
    saw, known = f"{version[0]}.{version[1]}", f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    if version < OLDEST:
        return Finding("Python", State.FAULT, saw, f"Keylike needs Python {known}")
    if version > NEWEST:
        return Finding(
            "Python", State.WARN, saw, f"the pinned packages are made for Python {known}"
        )
    return Finding("Python", State.OK, saw)


def required(lock: Path) -> Finding:
    """Check that the packages in the server's lock file, requirements.txt, are installed."""
    try:
        found = compare(lock)
    except OSError:
        return Finding("packages", State.FAULT, f"{lock} cannot be read", _FETCH_AGAIN)
    except ModuleNotFoundError as error:
        return Finding("packages", State.FAULT, f"not installed: {error.name}", INSTALL_SERVER)
    state = State.FAULT if found.lacking else State.WARN if found.other else State.OK
    return Finding("packages", state, found.saw, "" if state is State.OK else INSTALL_SERVER)


def for_gemma(locks: Path, *, wanted: bool, torch: bool) -> Finding:
    """Check the packages in torch.txt and gemma.txt, which only a Gemma model needs.

    Args:
        locks: Folder of the two files.
        wanted: True if the configured model is a Gemma model.
        torch: True if PyTorch is installed.
    """
    name = "packages for Gemma"
    if not (wanted or torch):
        return Finding(name, State.NOTE, "not installed", _FOR_GEMMA)
    try:
        found = compare(locks / "torch.txt", locks / "gemma.txt")
    except OSError as error:
        state = State.WARN if wanted else State.NOTE
        return Finding(name, state, f"{error.filename} cannot be read", _FETCH_AGAIN)
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
        INSTALL_GEMMA,
    )


def compare(*locks: Path) -> Compared:
    """Compare the pinned versions with the installed ones. Packages only for CUDA are skipped.

    Raises:
        OSError: A file cannot be read.
        ModuleNotFoundError: `packaging` is not installed.
    """
    lacking, other, right = [], [], 0
    pins = {pin.name: pin for lock in locks for pin in _pins(lock)}
    for name, pin in pins.items():
        if _CUDA.fullmatch(name):
            continue
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            lacking.append(name)
            continue
        if pin.specifier.contains(version, prereleases=True):
            right += 1
        else:
            other.append(f"{name} is {version}, not {pin.specifier}")
    return Compared(tuple(lacking), tuple(other), right)


def _pins(lock: Path) -> Iterator[Requirement]:
    """Yield the pinned packages for this machine. Hashes and options such as -r are skipped."""
    from packaging.requirements import Requirement

    for line in lock.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].rstrip(" \\").strip()
        if text and not text.startswith("-"):
            pin = Requirement(text)
            if pin.marker is None or pin.marker.evaluate():
                yield pin
