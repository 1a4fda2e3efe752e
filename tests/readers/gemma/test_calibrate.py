"""Tests of calibrating on labelled photos, with a reader whose scores depend on the colour."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keylike.images.photo import Photo
from keylike.readers.contract import ReaderInfo, Reason, Unreadable
from keylike.readers.evaluation import shots
from keylike.readers.gemma.calibrate import GROUP, ScoringReader, calibrate
from keylike.readers.gemma.manifest import GemmaManifest, Temperature, gemma_manifest
from keylike.readers.gemma.model_output import Choice, Scores, Slot, Trust
from keylike.readers.model_files import read_manifest
from tests.fakes import colour_reader

CODES = (2, 5, 4, 7, 3)
MANIFEST = GemmaManifest(name="keys", version="1.0.0", kind="gemma-merged", keyways=("SC1", "KW1"))
BLUE, LOOSE, SILENT = (0, 0, 250), (90, 0, 100), (90, 250, 0)


class ColourScorer:
    """Reader that scores the code 2,5,4,7,3 for every photo. The brighter its red, the likelier.

    Blue photos are refused as not a key, violet ones get a code without a label in the reply, and
    green ones get no code.
    """

    def __init__(self, manifest: GemmaManifest = MANIFEST) -> None:
        self.manifest = manifest
        self.info = ReaderInfo(
            manifest.name, manifest.version, manifest.kind, manifest.keyways, "0" * 64
        )
        self.groups: list[int] = []

    def score(self, photos: Sequence[Photo]) -> list[Scores | Unreadable]:
        """Return one result for each photo."""
        self.groups.append(len(photos))
        return [self._score(photo) for photo in photos]

    def _score(self, photo: Photo) -> Scores | Unreadable:
        red, green, blue = (int(value) for value in np.median(photo.pixels.reshape(-1, 3), axis=0))
        if blue > 200:
            return Unreadable(Reason.NOT_A_KEY, "No key.", "Another photo.")
        cut_probability = (red / 255) ** (1 / len(CODES))
        choice = Choice(
            "SC1", CODES, (Slot((cut_probability, 1 - cut_probability), 0),) * len(CODES)
        )
        return Scores(
            (choice,), 0.0, 0.1 if green > 200 else 1.0, Trust.LOOSE if blue > 50 else Trust.SLOTS
        )


def colour_scorer() -> ScoringReader:
    """Return the reader. The return type makes mypy check that it is a valid `ScoringReader`."""
    return ColourScorer()


def add(
    folder: Path, colour: tuple[int, int, int], codes: Sequence[int] | None, keyway: str = "SC1"
) -> None:
    """Add a labelled photo to the folder."""
    folder.mkdir(exist_ok=True)
    name = f"{len(list(folder.iterdir()))}.png"
    Image.new("RGB", (40, 30), colour).save(folder / name)
    row = {"file": name, "keyway": keyway, "bitting": codes, "tier": "easy"}
    with (folder / "labels.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")


def label(folder: Path, count: int = 60) -> Path:
    """Add `count` labelled photos on which the reader is overconfident.

    If it gives a code the probability p, the code is correct with the probability p squared.
    """
    draws = np.random.default_rng(5)
    for _ in range(count):
        probability = draws.uniform(0.5, 0.98)
        correct = draws.uniform() < probability**2
        add(folder, (round(probability * 255), 0, 0), CODES if correct else (1, 1, 1, 1, 1))
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder with 60 labelled photos."""
    return label(tmp_path / "photos")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Create a model folder without a manifest."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    return tmp_path / "model"


def test_calibration_is_written_and_lowers_the_overconfidence(photos: Path, model: Path) -> None:
    reader = ColourScorer()
    outcome = calibrate(reader, model, shots(photos))
    assert gemma_manifest(read_manifest(model)).calibration == outcome.calibration
    assert isinstance(outcome.calibration, Temperature)
    assert outcome.calibration.temperature > 1.1
    assert outcome.before.confidence > outcome.before.right + 0.1
    assert abs(outcome.after.confidence - outcome.after.right) < 0.05
    assert outcome.after.log_loss < outcome.before.log_loss
    assert outcome.after.calibration_error == outcome.calibration.error
    assert "agreement" not in outcome.to_dict()
    assert sum(reader.groups) == 60 and max(reader.groups) == GROUP


def test_calibrating_again_also_measures_the_previous_calibration(
    photos: Path, model: Path
) -> None:
    first = calibrate(colour_scorer(), model, shots(photos))
    again = calibrate(ColourScorer(gemma_manifest(read_manifest(model))), model, shots(photos))
    assert again.calibration == first.calibration
    assert again.before.confidence < first.before.confidence
    assert (first.calibrated_before, again.calibrated_before) == (False, True)


def test_calibrating_ignores_the_confidence_threshold(photos: Path, model: Path) -> None:
    high = MANIFEST.reply.model_copy(update={"least_confidence": 0.9})
    outcome = calibrate(
        ColourScorer(MANIFEST.model_copy(update={"reply": high})), model, shots(photos)
    )
    assert outcome.calibration.fitted_on == 60


def test_refused_and_foreign_photos_are_counted_but_not_used_for_the_fit(
    photos: Path, model: Path
) -> None:
    for colour in (BLUE, BLUE, SILENT, LOOSE):
        add(photos, colour, CODES)
    add(photos, BLUE, None, "none")
    add(photos, BLUE, (1, 2, 3, 4, 5, 6), "WR5")
    outcome = calibrate(colour_scorer(), model, shots(photos))
    assert outcome.refused == {"not_a_key": 2, "no_code_in_reply": 1, "no_label": 1}
    assert (outcome.photos, outcome.left_out, outcome.calibration.fitted_on) == (64, 2, 60)
    assert "; refused: not_a_key 2, no_code_in_reply 1, no_label 1;" in outcome.lines()[0]


def test_same_code_of_another_keyway_counts_as_wrong(photos: Path, model: Path) -> None:
    before = calibrate(colour_scorer(), model, shots(photos)).before.right
    for _ in range(20):
        add(photos, (200, 0, 0), CODES, "KW1")
    assert calibrate(colour_scorer(), model, shots(photos)).before.right == pytest.approx(
        before * 60 / 80
    )


def test_calibrating_with_too_few_photos_writes_nothing(tmp_path: Path, model: Path) -> None:
    few = label(tmp_path / "few", 15)
    for _ in range(3):
        add(few, BLUE, CODES)
    with pytest.raises(ValueError, match="label 5 more; refused: not_a_key 3"):
        calibrate(colour_scorer(), model, shots(few))
    assert not (model / "manifest.toml").exists()


def test_calibrating_with_an_invalid_picture_names_its_file(photos: Path, model: Path) -> None:
    (photos / "7.png").write_bytes(b"GIF89a")
    with pytest.raises(ValueError, match=r"7\.png: "):
        calibrate(colour_scorer(), model, shots(photos))


def test_calibrating_two_readers_fits_how_often_they_make_the_same_mistake(
    photos: Path, model: Path
) -> None:
    wrong = sum(shot.codes != CODES for shot in shots(photos))
    outcome = calibrate(colour_scorer(), model, shots(photos), second_reader=colour_reader())
    assert outcome.agreement is not None
    assert outcome.agreement.fitted_on == wrong
    assert outcome.agreement.shared_error == pytest.approx((wrong + 1) / (wrong + 2), abs=1e-4)
    assert gemma_manifest(read_manifest(model)).agreement == outcome.agreement
    assert f"fitted on {wrong} photos that both readers" in outcome.lines()[1]


def test_agreement_is_not_fitted_if_no_photo_is_misread_by_both_readers(
    tmp_path: Path, model: Path
) -> None:
    folder = tmp_path / "photos"
    for step in range(30):
        # For photos with a little more green than red, the second reader returns 1,1,1,1,1. It is
        # correct for all photos for which the first reader is wrong.
        add(
            folder,
            (190 + step // 4, 199 if step % 3 else 0, 0),
            (1, 1, 1, 1, 1) if step % 3 else CODES,
        )
    outcome = calibrate(colour_scorer(), model, shots(folder), second_reader=colour_reader())
    assert outcome.agreement is None
    assert gemma_manifest(read_manifest(model)).agreement is None
    assert outcome.to_dict()["agreement"] is None
    assert "not fitted" in outcome.lines()[1]
