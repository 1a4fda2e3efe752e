"""Readers that fare badly on some photos, by their colour, and what loads them: importable, since it is in another process."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keylike.cli import main
from keylike.errors import ModelError, Overloaded
from keylike.images.photo import Photo
from keylike.readers import loading as model_loader
from keylike.readers.contract import Reader, Reading, Unreadable
from tests.fakes import ColourReader
from tests.running import until

CRASHES, HANGS, EATS, RAISES = (200, 200, 0), (0, 200, 200), (200, 0, 200), (100, 100, 100)
SHORT, TALKS, WAITS = (200, 200, 200), (10, 10, 10), (200, 100, 20)
# Names the file that those who wait wait for.
GATE = "RISKY_GATE"


class RiskyReader(ColourReader):
    """Reads as the colour reader does, or comes to grief."""

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """One result a photo, if at all."""
        for photo in photos:
            _risk(
                tuple(
                    round(float(shade) / 10) * 10
                    for shade in np.median(photo.pixels.reshape(-1, 3), axis=0)
                )
            )
        return super().read(photos)


def _risk(colour: tuple[int, ...]) -> None:
    if colour == CRASHES:
        os.kill(os.getpid(), signal.SIGSEGV)
    if colour == HANGS:
        signal.pause()
    if colour == EATS:
        np.ones(4_000_000_000, np.uint8)
    if colour == RAISES:
        raise LookupError("canary")
    if colour == SHORT:
        raise Overloaded("There is not enough memory.", retry_after_s=7)
    if colour == WAITS:
        until(Path(os.environ[GATE]).exists)
    if colour == TALKS:
        _say_something_else()


def _say_something_else() -> None:
    """As somebody would who took the process over."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        try:
            os.write(socket.socket(fileno=os.dup(descriptor)).detach(), b"\x02\x03\x00\x00\x00{}?")
        except OSError:
            continue


def load() -> Reader:
    """The risky reader."""
    return RiskyReader()


def environment() -> Reader:
    """Refuses, with the names of what it was given."""
    raise ModelError(" ".join(sorted(os.environ)))


def broken() -> Reader:
    """A library's own error."""
    raise RuntimeError("canary in /secret/place")


def ends() -> Reader:
    """The process is gone before there is a reader."""
    os._exit(3)


def load_folder(folder: Path, choices: model_loader.Choices = model_loader.DEFAULTS) -> Reader:
    """The risky reader in place of every model."""
    return RiskyReader()


if __name__ == "__main__":
    # Not this module's own, whose name is another while it runs.
    from tests.workers import risky

    model_loader.load = risky.load_folder
    main()
