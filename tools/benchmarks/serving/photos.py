"""Photos for the comparison: the shipped samples, in two sizes that phones send.

Each photo is sent with different bytes, so that no cache can answer instead of the reader.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
# Size (width, height) in pixels and JPEG quality, by name. The first is the size of a frame that a
# web page captures from the camera, the second that of a full camera photo.
SIZES = {"640x480": ((640, 480), 85), "12 MP": ((4000, 3000), 92)}
# Standard deviation in grey levels of the noise added to the large photos, as a sensor adds it.
# Without it, an enlarged sample has only a third of the bytes of a real photo.
_NOISE = 4.0
# Sample that is not used. Reading it at the small size takes a quarter of a second, ten times as
# long as the others, so the differences between the servers would not be visible.
_EXCLUDED = "sc1_03.jpg"


def photos(size: str) -> list[bytes]:
    """Return the shipped samples as JPEG files of this size, a key of SIZES."""
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
    """Endless iterator over photos. A unique JPEG comment gives every photo different bytes."""

    def __init__(self, photos: Sequence[bytes]) -> None:
        self._next: Iterator[tuple[int, bytes]] = zip(
            itertools.count(), itertools.cycle(photos), strict=False
        )

    def __next__(self) -> bytes:
        number, photo = next(self._next)
        # Insert a comment (COM segment) with eight bytes of data after the two bytes of the start
        # marker. The length field is 10, because it includes its own two bytes (ITU-T T.81,
        # B.2.4.5).
        return photo[:2] + b"\xff\xfe\x00\x0a" + number.to_bytes(8, "big") + photo[2:]
