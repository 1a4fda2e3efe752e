"""The work that all compared servers do: decode a photo, read it, and return a short response."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from keylike.images.libraries import configure_image_libraries
from keylike.images.photo import Photo, open_photo
from keylike.readers.caliper.reader import CaliperReader
from keylike.readers.contract import Reader

__all__ = ["CORES", "load_reader", "open_photo", "read"]

# Number of cores that this process may use.
CORES = len(os.sched_getaffinity(0))


def load_reader() -> Reader:
    """Return the embedded reader after a first reading, which is slower than later ones."""
    configure_image_libraries()
    reader = CaliperReader.load(Path(__file__).resolve().parents[4] / "models" / "caliper")
    reader.warm()
    return reader


def read(reader: Reader, photo: Photo) -> dict[str, Any]:
    """Return the result of reading a photo, as a value that can be encoded as JSON."""
    return asdict(reader.read([photo])[0])
