"""What every classifier keeps to: the embedded caliper and an ONNX network alike."""

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
    """The caliper that is shipped."""
    return families(load(ROOT / "models" / "caliper"))


def network(tmp_path: Path) -> Classifier:
    """A tiny network."""
    return load_classifier(make_classifier(tmp_path / "colours"))


@pytest.fixture(params=[embedded, network], ids=["embedded", "network"])
def classifier(request: pytest.FixtureRequest, tmp_path: Path) -> Classifier:
    """Each in turn, warmed."""
    make: Callable[[Path], Classifier] = request.param
    made = make(tmp_path)
    made.warm()
    return made


PHOTOS: dict[str, Photo] = {
    "key": open_photo(KEY),
    "red": open_photo(plain(RED)),
    "green": open_photo(plain(GREEN, size=(40, 300))),
    "blue": open_photo(plain(BLUE, "PNG", size=(2000, 30))),
}


def certain(classifier: Classifier, photo: Photo) -> Classification:
    """No refusal."""
    answer = classifier.classify(photo)
    assert isinstance(answer, Classification)
    return answer


def test_it_says_who_it_is(classifier: Classifier) -> None:
    info = classifier.info
    assert info.name and info.version
    assert len(set(info.labels)) == len(info.labels) >= 2


@pytest.mark.parametrize("name", PHOTOS)
def test_there_is_a_probability_for_every_label_and_they_sum_to_one(
    classifier: Classifier, name: str
) -> None:
    answer = certain(classifier, PHOTOS[name])
    assert tuple(answer.probabilities) == classifier.info.labels
    assert all(0 <= share <= 1 for share in answer.probabilities.values())
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-9)
    assert (
        answer.confidence
        == max(answer.probabilities.values())
        == answer.probabilities[answer.predicted]
    )


def test_the_same_photo_gets_the_same_answer_from_many_threads(classifier: Classifier) -> None:
    alone = {name: certain(classifier, photo) for name, photo in PHOTOS.items()}
    names = [*PHOTOS] * 4
    with ThreadPoolExecutor(4) as threads:
        together = [*threads.map(lambda name: certain(classifier, PHOTOS[name]), names)]
    assert together == [alone[name] for name in names]


def test_it_leaves_the_photo_as_it_is(classifier: Classifier) -> None:
    before = PHOTOS["key"].pixels.copy()
    certain(classifier, PHOTOS["key"])
    assert (PHOTOS["key"].pixels == before).all()


@pytest.mark.parametrize(
    "shares", [(0.5, float("nan")), (0.0, 0.0), (1.2, -0.2), (float("inf"), 1.0), (1.0,)]
)
def test_what_are_no_probabilities_is_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError):
        Classification.of(("one", "two"), shares)
