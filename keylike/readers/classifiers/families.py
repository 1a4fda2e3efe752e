"""The embedded caliper as a classifier: which family a key is of, or that there is none."""

from __future__ import annotations

from keylike.images.photo import Photo
from keylike.readers.caliper.networks import KINDS
from keylike.readers.caliper.reader import CaliperReader
from keylike.readers.caliper.refusal import LEAST_SIDE_PX, refuse
from keylike.readers.classifiers.contract import Classification, ClassifierInfo
from keylike.readers.contract import Reason, Unreadable

# How many of a hundred drawn photos of each kind had no blade found on them by caliper 1.2.0, on which what follows rests.
_NOT_FOUND = {"SC1": 0, "SC4": 1, "KW1": 4, "other": 2, "blank": 2, "none": 82}
NO_BLADE = Classification.of(KINDS, (_NOT_FOUND[kind] + 1 for kind in KINDS))


class FamilyClassifier:
    """Classes are the measurer's kinds: three families that can be read, other ones, uncut blanks, and no key at all.

    Where a blade is found the probabilities are the caliper's own, calibrated with its manifest. Where none is found nothing was measured,
    and "none" with certainty would be a lie: the finder also overlooks keys. Then NO_BLADE answers, always the same: how often each kind
    was there when no blade was found, among as many drawn photos of each kind (`python -m tools.benchmarks.families`), one added to each count
    so that no kind is called impossible. Among photos that are mostly of keys "none" is less likely than that, among others likelier.
    """

    def __init__(self, reader: CaliperReader) -> None:
        self._reader = reader

    @property
    def info(self) -> ClassifierInfo:
        """Name and version of the caliper, and its kinds."""
        return ClassifierInfo(self._reader.info.name, self._reader.info.version, KINDS)

    def warm(self) -> None:
        """Runs every network once."""
        self._reader.warm()

    def classify(self, photo: Photo) -> Classification | Unreadable:
        """The probability of every kind; a refusal for a picture of so few pixels that no blade could be seen on it."""
        height, width = photo.pixels.shape[:2]
        if min(height, width) < LEAST_SIDE_PX:
            return refuse(Reason.TOO_SMALL, f"The picture has only {width} x {height} pixels.")
        analysis = self._reader.analyse(photo.pixels)
        return (
            NO_BLADE
            if analysis is None
            else Classification.of(KINDS, (analysis.kinds[kind] for kind in KINDS))
        )
