"""Readers that fail on photos of certain colours.

They are in a module of their own, because the zygote, the process that forks the workers, must be
able to import them.
"""

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
# The environment variable with the path of a file. A photo in the colour WAITS is read when this
# file exists.
GATE = "RISKY_GATE"


class RiskyReader(ColourReader):
    """A colour reader that crashes, hangs or misbehaves on certain colours."""

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Read the photos, or fail as the colour of one of them demands."""
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
        _write_garbage()


def _write_garbage() -> None:
    """Write garbage to every socket, as an attacker who controls the process could."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        try:
            os.write(socket.socket(fileno=os.dup(descriptor)).detach(), b"\x02\x03\x00\x00\x00{}?")
        except OSError:
            continue


def load() -> Reader:
    """Return a risky reader."""
    return RiskyReader()


def environment() -> Reader:
    """Raise an error that contains the names of all environment variables."""
    raise ModelError(" ".join(sorted(os.environ)))


def broken() -> Reader:
    """Raise an error as a library would."""
    raise RuntimeError("canary in /secret/place")


def ends() -> Reader:
    """End the process before a reader is loaded."""
    os._exit(3)


def load_folder(folder: Path, choices: model_loader.Choices = model_loader.DEFAULTS) -> Reader:
    """Return a risky reader for every model folder."""
    return RiskyReader()


if __name__ == "__main__":
    # Import this module by its name, because the zygote cannot unpickle functions of __main__.
    from tests.workers import risky

    model_loader.load = risky.load_folder
    main()
