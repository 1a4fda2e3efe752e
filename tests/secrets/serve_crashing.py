"""`keylike serve` with a reader that raises an error full of secrets, and logs them as a careless library would.

Once the file that MODEL_PATH names is there it is loaded; before, it is still loading.
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

TOLD = f"c4nary {KEY['bitting']} {','.join(map(str, KEY['bitting']))} {TOKEN} {ADDRESS}"


class CrashingReader(ColourReader):
    """Warms up, and reads nothing."""

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Always fails."""
        for name in ("waitress", "opentelemetry.sdk", "c4nary.library"):
            logging.getLogger(name).error(TOLD)
        warnings.warn(TOLD, stacklevel=1)
        try:
            raise ValueError(TOLD)
        except ValueError as first:
            raise RuntimeError(TOLD, photos) from first


def load(folder: Path, choices: model_loader.Choices = model_loader.DEFAULTS) -> Reader:
    """The crashing reader, after a line on stdin."""
    sys.stdin.readline()
    return CrashingReader()


if __name__ == "__main__":
    model_loader.load = load
    main()
