"""Small readers for tests. The result of the colour reader shows that a photo was decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keylike.images.photo import Photo
from keylike.readers.contract import (
    Candidate,
    Cut,
    Quality,
    Reader,
    ReaderInfo,
    Reading,
    Reason,
    Unreadable,
)


class ColourReader:
    """Reader that reads a code from the colour: SC1 2,5,4,7,3 from red, SC1 1,1,1,1,1 from green.

    It refuses all other photos with the reason not_a_key.
    """

    def __init__(self) -> None:
        self.warmed = False

    @property
    def info(self) -> ReaderInfo:
        """Return the description of the reader."""
        return ReaderInfo(
            name="colour", version="1.0.0", kind="fake", keyways=("SC1",), digest="0" * 64
        )

    def warm(self) -> None:
        """Record that the reader was warmed up."""
        self.warmed = True

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Return one result for each photo."""
        return [self._read(photo) for photo in photos]

    def _read(self, photo: Photo) -> Reading | Unreadable:
        red, green, blue = (int(value) for value in np.median(photo.pixels.reshape(-1, 3), axis=0))
        if blue >= max(red, green):
            return Unreadable(
                Reason.NOT_A_KEY,
                "There is no key in this photo.",
                "Lay one key flat on a plain surface.",
            )
        codes, other = (
            ((2, 5, 4, 7, 3), (2, 5, 4, 6, 3))
            if red > green
            else ((1, 1, 1, 1, 1), (1, 1, 1, 1, 2))
        )
        cuts = tuple(
            Cut(position, depth, 0.95, 8.5 - 0.381 * depth)
            for position, depth in enumerate(codes, 1)
        )
        candidates = (Candidate(codes, 0.8), Candidate(other, 0.15))
        return Reading(
            "SC1",
            codes,
            0.8,
            True,
            cuts,
            candidates,
            Quality(px_per_mm=20.0, sharpness=0.9, worn_cuts=(4,)),
        )


@dataclass(frozen=True)
class FixedReader:
    """Reader that returns the same result for every photo."""

    result: Reading | Unreadable
    name: str = "fixed"

    @property
    def info(self) -> ReaderInfo:
        """Return the description of the reader."""
        return ReaderInfo(
            name=self.name,
            version="2.0.0",
            kind="fake",
            keyways=("KW1", "SC1"),
            digest=self.name * 8,
        )

    def warm(self) -> None:
        """Do nothing."""

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Return the fixed result for each photo."""
        return [self.result for _ in photos]


def colour_reader() -> Reader:
    """Return a colour reader. The return type makes mypy check that it is a valid reader."""
    return ColourReader()
