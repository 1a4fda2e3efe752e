"""Tests that every classifier must pass: the embedded caliper and an ONNX network."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from keylike.images.photo import Photo, open_photo
from keylike.readers.classifiers.contract import Classification, Classifier
from keylike.readers.loading import families, load, load_classifier
from tests.classifier_models import make_classifier
from tools.plain_pictures import BLUE, GREEN, RED, plain

ROOT = Path(__file__).resolve().parents[3]
KEY = (ROOT / "samples" / "sc1_01.jpg").read_bytes()


def embedded(_: Path) -> Classifier:
    """Load the embedded caliper as a classifier."""
    return families(load(ROOT / "models" / "caliper"))


def network(tmp_path: Path) -> Classifier:
    """Load a tiny ONNX network as a classifier."""
    return load_classifier(make_classifier(tmp_path / "colours"))


@pytest.fixture(params=[embedded, network], ids=["embedded", "network"])
def classifier(request: pytest.FixtureRequest, tmp_path: Path) -> Classifier:
    """Return each of the two classifiers after warming it up."""
    make: Callable[[Path], Classifier] = request.param
    classifier = make(tmp_path)
    classifier.warm()
    return classifier


PHOTOS: dict[str, Photo] = {
    "key": open_photo(KEY),
    "red": open_photo(plain(RED)),
    "green": open_photo(plain(GREEN, size=(40, 300))),
    "blue": open_photo(plain(BLUE, "PNG", size=(2000, 30))),
}


def classify(classifier: Classifier, photo: Photo) -> Classification:
    """Return the classification of a photo that must not be refused."""
    answer = classifier.classify(photo)
    assert isinstance(answer, Classification)
    return answer


def test_information_about_a_classifier_is_complete(classifier: Classifier) -> None:
    info = classifier.info
    assert info.name and info.version
    assert len(set(info.labels)) == len(info.labels) >= 2


@pytest.mark.parametrize("name", PHOTOS)
def test_probabilities_of_all_labels_sum_to_one(classifier: Classifier, name: str) -> None:
    answer = classify(classifier, PHOTOS[name])
    assert tuple(answer.probabilities) == classifier.info.labels
    assert all(0 <= share <= 1 for share in answer.probabilities.values())
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-9)
    assert (
        answer.confidence
        == max(answer.probabilities.values())
        == answer.probabilities[answer.predicted]
    )


def test_classification_is_the_same_in_every_thread(classifier: Classifier) -> None:
    expected = {name: classify(classifier, photo) for name, photo in PHOTOS.items()}
    names = [*PHOTOS] * 4
    with ThreadPoolExecutor(4) as threads:
        results = [*threads.map(lambda name: classify(classifier, PHOTOS[name]), names)]
    assert results == [expected[name] for name in names]


def test_classification_does_not_change_the_photo(classifier: Classifier) -> None:
    before = PHOTOS["key"].pixels.copy()
    classify(classifier, PHOTOS["key"])
    assert (PHOTOS["key"].pixels == before).all()


@pytest.mark.parametrize(
    "shares", [(0.5, float("nan")), (0.0, 0.0), (1.2, -0.2), (float("inf"), 1.0), (1.0,)]
)
def test_classification_with_invalid_probabilities_raises_value_error(
    shares: tuple[float, ...],
) -> None:
    with pytest.raises(ValueError):
        Classification.of(("one", "two"), shares)
