"""The contract of a classifier: a photo in, a probability for each of its classes out, or an honest refusal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from keylike.images.photo import Photo
from keylike.readers.contract import Unreadable


@dataclass(frozen=True, slots=True)
class Classification:
    """A probability for every class the classifier knows, in its own order; they sum to 1."""

    probabilities: Mapping[str, float]

    @classmethod
    def of(cls, labels: Iterable[str], shares: Iterable[float]) -> Classification:
        """From shares whose sum is 1 but for rounding. Raises ValueError for what can be none: a number below 0, or none at all."""
        table = {label: float(share) for label, share in zip(labels, shares, strict=True)}
        whole = sum(table.values())
        if not (math.isfinite(whole) and whole > 0 and min(table.values()) >= 0):
            raise ValueError("these are no probabilities")
        return cls({label: share / whole for label, share in table.items()})

    @property
    def predicted(self) -> str:
        """The likeliest class; of several that are equally likely, the first."""
        return max(self.probabilities, key=lambda label: self.probabilities[label])

    @property
    def confidence(self) -> float:
        """The probability of that class."""
        return self.probabilities[self.predicted]


@dataclass(frozen=True, slots=True)
class ClassifierInfo:
    """Who classifies: manifest name and version, and the classes it knows."""

    name: str
    version: str
    labels: tuple[str, ...]


class Classifier(Protocol):
    """Anything that classifies photos. Loaded once, used from many threads."""

    @property
    def info(self) -> ClassifierInfo:
        """Name, version and classes."""

    def warm(self) -> None:
        """Runs once over a made-up photo, so that the first caller does not pay for it. Raises ModelError where the answer is not what
        the manifest promises."""

    def classify(self, photo: Photo) -> Classification | Unreadable:
        """The probability of every class; a refusal where the photo is of no use whatever is on it. Raises ModelError where what comes
        out are no probabilities."""
