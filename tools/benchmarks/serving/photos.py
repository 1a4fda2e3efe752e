"""Photos of the comparison: the shipped samples at the sizes that phones send.

Every photo is sent with different bytes, so that no cache can answer in place of the reader.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
# Pixels and JPEG quality: a frame that a web page takes from the camera, and a full camera photo.
SIZES = {"640x480": ((640, 480), 85), "12 MP": ((4000, 3000), 92)}
# Sensor noise in grey levels. Without it, an enlarged photo has a third of the bytes of a real one.
_NOISE = 4.0
# At the small size this sample takes a quarter of a second, ten times as long as the others. It
# would hide the cost of the servers.
_EXCLUDED = "sc1_03.jpg"


def photos(size: str) -> list[bytes]:
    """Return every shipped sample as a JPEG of one of SIZES."""
    (width, height), quality = SIZES[size]
    random = np.random.default_rng(1)
    encoded = []
    for path in sorted(path for path in SAMPLES.glob("*.jpg") if path.name != _EXCLUDED):
        picture = Image.open(path).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        if max(picture.size) > 1024:
            noise = random.normal(0.0, _NOISE, (height, width, 1)).astype(np.float32)
            picture = Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        encoded.append(file.getvalue())
    return encoded


class PhotoStream:
    """Endless cycle of photos, each with a unique comment so that no two have the same bytes."""

    def __init__(self, photos: Sequence[bytes]) -> None:
        self._next: Iterator[tuple[int, bytes]] = zip(
            itertools.count(), itertools.cycle(photos), strict=False
        )

    def __next__(self) -> bytes:
        number, photo = next(self._next)
        # Insert a COM segment with eight bytes of data after the start marker. Its length field
        # counts itself (ITU-T T.81, B.2.4.5).
        return photo[:2] + b"\xff\xfe\x00\x0a" + number.to_bytes(8, "big") + photo[2:]
