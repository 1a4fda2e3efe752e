"""The photos of the race: the shipped samples as phones send them, and each sent once so that no cache can spare its reading."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
# Pixels and JPEG quality: what a page takes from a camera, and what the camera itself keeps.
SIZES = {"640x480": ((640, 480), 85), "12 MP": ((4000, 3000), 92)}
# Of a sensor, in grey levels: without it a photo made larger would be a third of the bytes that a camera's has.
_GRAIN = 4.0
# Made small this one is thought over for a quarter of a second, ten times as long as the others: it would hide what servers cost.
_LEFT_OUT = "sc1_03.jpg"


def photos(size: str) -> list[bytes]:
    """Every shipped sample as a JPEG of one of SIZES."""
    (width, height), quality = SIZES[size]
    random = np.random.default_rng(1)
    made = []
    for path in sorted(path for path in SAMPLES.glob("*.jpg") if path.name != _LEFT_OUT):
        picture = Image.open(path).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        if max(picture.size) > 1024:
            grain = random.normal(0.0, _GRAIN, (height, width, 1)).astype(np.float32)
            picture = Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        made.append(file.getvalue())
    return made


class Stream:
    """The photos one after the other without end, each with a comment of its own, so that no two have the same bytes."""

    def __init__(self, made: Sequence[bytes]) -> None:
        self._next: Iterator[tuple[int, bytes]] = zip(
            itertools.count(), itertools.cycle(made), strict=False
        )

    def __next__(self) -> bytes:
        number, photo = next(self._next)
        # After the start marker: a COM segment of eight bytes, its length counting itself (ITU-T T.81, B.2.4.5).
        return photo[:2] + b"\xff\xfe\x00\x0a" + number.to_bytes(8, "big") + photo[2:]
