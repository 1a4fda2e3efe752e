"""What all of them do with a photo: the same decoding, the same reader, a short answer."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from keylike.images.libraries import configure_image_libraries
from keylike.images.photo import Photo, open_photo
from keylike.readers.caliper.reader import CaliperReader
from keylike.readers.contract import Reader

__all__ = ["CORES", "load", "open_photo", "read"]

# Those that this process may use.
CORES = len(os.sched_getaffinity(0))


def load() -> Reader:
    """The embedded reader, ready."""
    configure_image_libraries()
    reader = CaliperReader.load(Path(__file__).resolve().parents[4] / "models" / "caliper")
    reader.warm()
    return reader


def read(reader: Reader, photo: Photo) -> dict[str, Any]:
    """What it says, ready for JSON."""
    return asdict(reader.read([photo])[0])
