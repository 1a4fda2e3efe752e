"""The embedded caliper as a classifier of key families."""

from __future__ import annotations

from keylike.images.photo import Photo
from keylike.readers.caliper.networks import KINDS
from keylike.readers.caliper.reader import CaliperReader
from keylike.readers.caliper.refusal import LEAST_SIDE_PX, refuse
from keylike.readers.classifiers.contract import Classification, ClassifierInfo
from keylike.readers.contract import Reason, Unreadable

# For each kind of photo, the number of 100 rendered photos in which caliper 1.2.0 found no blade.
_MISSED_BLADES = {"SC1": 0, "SC4": 1, "KW1": 4, "other": 2, "blank": 2, "none": 82}
NO_BLADE = Classification.of(KINDS, (_MISSED_BLADES[kind] + 1 for kind in KINDS))


class FamilyClassifier:
    """A classifier with six classes: three readable families, other families, blanks, and no key.

    If the caliper finds a blade, it computes the probabilities, calibrated with its manifest. If it
    finds none, the result is always NO_BLADE. It is not certain then that there is no key, because
    the caliper also fails to find some keys.

    NO_BLADE was measured on rendered photos, equally many of each class, in which the caliper found
    no blade (`python -m tools.benchmarks.families`). It is the share of each class among them; one
    is added to each count, so that no class is impossible. If most photos of a user show keys, the
    class "none" is really less probable than NO_BLADE says.
    """

    def __init__(self, reader: CaliperReader) -> None:
        self._reader = reader

    @property
    def info(self) -> ClassifierInfo:
        """Return the name and version of the caliper, and the classes."""
        return ClassifierInfo(self._reader.info.name, self._reader.info.version, KINDS)

    def warm(self) -> None:
        """Run every network of the caliper once."""
        self._reader.warm()

    def classify(self, photo: Photo) -> Classification | Unreadable:
        """Return the probability of every class, or a refusal if the picture is too small."""
        height, width = photo.pixels.shape[:2]
        if min(height, width) < LEAST_SIDE_PX:
            return refuse(Reason.TOO_SMALL, f"The picture has only {width} x {height} pixels.")
        analysis = self._reader.analyse(photo.pixels)
        return (
            NO_BLADE
            if analysis is None
            else Classification.of(KINDS, (analysis.kinds[kind] for kind in KINDS))
        )
