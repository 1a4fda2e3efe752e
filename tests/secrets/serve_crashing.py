"""Runs `keylike serve` with a reader that logs secrets and raises an error that contains them.

The reader is loaded when a line arrives on standard input.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from keylike.cli import main
from keylike.images.photo import Photo
from keylike.readers import loading as model_loader
from keylike.readers.contract import Reader, Reading, Unreadable
from tests.fakes import ColourReader
from tests.secrets.canaries import ADDRESS, KEY, TOKEN

SECRET_TEXT = f"c4nary {KEY['bitting']} {','.join(map(str, KEY['bitting']))} {TOKEN} {ADDRESS}"


class CrashingReader(ColourReader):
    """A reader that fails for every photo."""

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Log secrets as a careless library would, then raise an error that contains them."""
        for name in ("waitress", "opentelemetry.sdk", "c4nary.library"):
            logging.getLogger(name).error(SECRET_TEXT)
        warnings.warn(SECRET_TEXT, stacklevel=1)
        try:
            raise ValueError(SECRET_TEXT)
        except ValueError as first:
            raise RuntimeError(SECRET_TEXT, photos) from first


def load(folder: Path, choices: model_loader.Choices = model_loader.DEFAULTS) -> Reader:
    """Wait for a line on standard input, then return the crashing reader."""
    sys.stdin.readline()
    return CrashingReader()


if __name__ == "__main__":
    model_loader.load = load
    main()
