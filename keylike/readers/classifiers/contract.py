"""The interface of a classifier: it takes a photo and returns a probability for each class."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from keylike.images.photo import Photo
from keylike.readers.contract import Unreadable


@dataclass(frozen=True, slots=True)
class Classification:
    """The probability of every class, in the order of the classifier. They sum to 1."""

    probabilities: Mapping[str, float]

    @classmethod
    def of(cls, labels: Iterable[str], shares: Iterable[float]) -> Classification:
        """Return the shares as the probabilities of `labels`, scaled so that they sum to 1.

        Raises:
            ValueError: A share is negative, or the sum is 0 or not finite.
        """
        table = {label: float(share) for label, share in zip(labels, shares, strict=True)}
        total = sum(table.values())
        if not (math.isfinite(total) and total > 0 and min(table.values()) >= 0):
            raise ValueError("these are not probabilities")
        return cls({label: share / total for label, share in table.items()})

    @property
    def predicted(self) -> str:
        """Return the most probable class. If several are equally probable, return the first."""
        return max(self.probabilities, key=lambda label: self.probabilities[label])

    @property
    def confidence(self) -> float:
        """Return the probability of the most probable class."""
        return self.probabilities[self.predicted]


@dataclass(frozen=True, slots=True)
class ClassifierInfo:
    """The description of a classifier: name and version from its manifest, and its classes."""

    name: str
    version: str
    labels: tuple[str, ...]


class Classifier(Protocol):
    """A classifier of photos. It is loaded once and used by many threads."""

    @property
    def info(self) -> ClassifierInfo:
        """Return name, version and classes."""

    def warm(self) -> None:
        """Classify a synthetic photo once, so that the first request is not slower.

        Raises:
            ModelError: The output does not match the manifest.
        """

    def classify(self, photo: Photo) -> Classification | Unreadable:
        """Return the probability of every class, or a refusal if the photo cannot be used.

        Raises:
            ModelError: The output is not a probability distribution.
        """
