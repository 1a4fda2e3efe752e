"""Tests of the embedded caliper as a classifier of key families."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from keylike.errors import ModelError
from keylike.images.photo import Photo, open_photo
from keylike.readers.classifiers.contract import Classification, Classifier
from keylike.readers.classifiers.families import NO_BLADE
from keylike.readers.contract import Reason, Unreadable
from keylike.readers.loading import families, load
from tests.fakes import ColourReader
from tools.plain_pictures import plain

ROOT = Path(__file__).resolve().parents[3]
LABELS = [json.loads(line) for line in (ROOT / "samples" / "labels.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return families(load(ROOT / "models" / "caliper"))


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label["file"])
def test_family_of_each_sample_photo_is_classified_correctly(
    classifier: Classifier, label: dict[str, str]
) -> None:
    answer = classifier.classify(open_photo((ROOT / "samples" / label["file"]).read_bytes()))
    assert isinstance(answer, Classification)
    assert answer.predicted == label["keyway"] and answer.confidence > 0.5


def test_photo_without_a_blade_is_classified_as_probably_none(classifier: Classifier) -> None:
    assert classifier.classify(open_photo(plain())) == NO_BLADE
    assert NO_BLADE.predicted == "none" and 0.5 < NO_BLADE.confidence < 0.9
    assert min(NO_BLADE.probabilities.values()) > 0


@pytest.mark.parametrize("size", [(1, 1), (2000, 23), (8, 600)])
def test_tiny_picture_is_refused_by_the_family_classifier(
    classifier: Classifier, size: tuple[int, int]
) -> None:
    answer = classifier.classify(Photo(np.zeros((*size, 3), np.uint8), size, "PNG", 1.0))
    assert isinstance(answer, Unreadable) and answer.reason is Reason.TOO_SMALL and answer.advice


def test_classifying_families_with_another_reader_raises_model_error() -> None:
    with pytest.raises(ModelError, match="is not a caliper"):
        families(ColourReader())
