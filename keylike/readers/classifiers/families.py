"""The embedded caliper as a classifier of key families."""

from __future__ import annotations

from keylike.images.photo import Photo
from keylike.readers.caliper.networks import KINDS
from keylike.readers.caliper.reader import CaliperReader
from keylike.readers.caliper.refusal import LEAST_SIDE_PX, refuse
from keylike.readers.classifiers.contract import Classification, ClassifierInfo
from keylike.readers.contract import Reason, Unreadable

# Number of photos without a detected blade among 100 rendered photos of each kind, with caliper
# 1.2.0.
_MISSED_BLADES = {"SC1": 0, "SC4": 1, "KW1": 4, "other": 2, "blank": 2, "none": 82}
NO_BLADE = Classification.of(KINDS, (_MISSED_BLADES[kind] + 1 for kind in KINDS))


class FamilyClassifier:
    """Classifier of three readable families, other families, uncut blanks and photos without a key.

    If a blade is found, the probabilities are the caliper's own, calibrated with its manifest. If
    none is found, certainty of "none" would be wrong, because the finder also misses keys. Then the
    result is always NO_BLADE: how often each kind occurs among rendered photos without a detected
    blade, with equally many photos of each kind (`python -m tools.benchmarks.families`). One is
    added to each count, so that no kind is impossible. "none" is less likely than that among photos
    that mostly show keys, and more likely among others.
    """

    def __init__(self, reader: CaliperReader) -> None:
        self._reader = reader

    @property
    def info(self) -> ClassifierInfo:
        """Return name and version of the caliper, and its kinds."""
        return ClassifierInfo(self._reader.info.name, self._reader.info.version, KINDS)

    def warm(self) -> None:
        """Run every network once."""
        self._reader.warm()

    def classify(self, photo: Photo) -> Classification | Unreadable:
        """Return the probability of every kind, or a refusal of a picture that is too small."""
        height, width = photo.pixels.shape[:2]
        if min(height, width) < LEAST_SIDE_PX:
            return refuse(Reason.TOO_SMALL, f"The picture has only {width} x {height} pixels.")
        analysis = self._reader.analyse(photo.pixels)
        return (
            NO_BLADE
            if analysis is None
            else Classification.of(KINDS, (analysis.kinds[kind] for kind in KINDS))
        )
