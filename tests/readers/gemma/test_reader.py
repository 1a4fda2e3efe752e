"""Tests of the reader with a real tiny Gemma."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from keylike.errors import ModelError
from keylike.images.photo import Photo, open_photo
from keylike.readers.caliper.reader import CaliperReader
from keylike.readers.contract import Reader, Reading, Reason, Unreadable
from keylike.readers.evaluation import shots
from keylike.readers.gemma.reader import GemmaReader
from keylike.readers.loading import Choices, load
from tests.gemma_models import GemmaModels, draw, environment
from tools.training.render import Scene

ROOT = Path(__file__).resolve().parents[3]
CALIPER = ROOT / "models" / "caliper"
pytestmark = pytest.mark.gemma


def reader(folder: Path, max_batch: int = 4) -> Reader:
    """Load a Gemma folder as the server does."""
    return load(
        folder,
        Choices(
            backend="transformers", precision="fp32", max_batch=max_batch, finder_folder=CALIPER
        ),
    )


def photos(models: GemmaModels) -> list[Photo]:
    """Return all photos on which the model was trained."""
    return [open_photo(shot.path.read_bytes()) for shot in models.shots]


def outcomes(results: Sequence[Reading | Unreadable]) -> list[object]:
    """Return the keyway and code of each reading, or the reason of each refusal."""
    return [
        (first.keyway, first.codes) if isinstance(first, Reading) else first.reason
        for first in results
    ]


def labels(models: GemmaModels) -> list[object]:
    """Return the labels of the photos in the same form as `outcomes`."""
    return [(shot.keyway, shot.codes) if shot.codes else Reason.NOT_A_KEY for shot in models.shots]


def copy_with(folder: Path, tmp_path: Path, **tables: dict[str, Any]) -> Path:
    """Copy a model folder and set values in tables of its manifest."""
    copy = Path(shutil.copytree(folder, tmp_path / folder.name))
    manifest = tomlkit.parse((copy / "manifest.toml").read_text())
    for name, table in tables.items():
        manifest.setdefault(name, tomlkit.table()).update(table)
    (copy / "manifest.toml").write_text(tomlkit.dumps(manifest))
    return copy


def test_batch_gives_the_same_results_as_single_photos(gemma_models: GemmaModels) -> None:
    pictures = photos(gemma_models)
    by_three = reader(gemma_models.merged, max_batch=3)
    assert (by_three.info.max_batch, by_three.info.workers) == (3, 1)
    together, singly = by_three.read(pictures), [by_three.read([photo])[0] for photo in pictures]
    assert outcomes(together) == outcomes(singly) == labels(gemma_models)
    for first, other in zip(together, singly, strict=True):
        if isinstance(first, Reading) and isinstance(other, Reading):
            assert first.confidence == pytest.approx(other.confidence, rel=1e-3)
            assert [c.codes for c in first.candidates][:1] == [c.codes for c in other.candidates][
                :1
            ]


def test_free_decoding_gives_the_same_codes(gemma_models: GemmaModels, tmp_path: Path) -> None:
    free = reader(
        copy_with(gemma_models.merged, tmp_path, reply={"decoding": "free", "max_new_tokens": 40})
    )
    assert outcomes(free.read(photos(gemma_models))) == labels(gemma_models)


def test_reading_of_gemma_is_consistent(gemma_models: GemmaModels) -> None:
    reading = reader(gemma_models.merged).read(photos(gemma_models)[:1])[0]
    assert isinstance(reading, Reading)
    assert len(reading.cuts) == len(reading.codes)
    assert all(reading.confidence <= cut.probability <= 1 for cut in reading.cuts)
    assert reading.candidates[0].codes == reading.codes
    assert not reading.calibrated
    assert reading.quality.px_per_mm and 3 < reading.quality.px_per_mm < 40


def test_photo_without_a_visible_key_is_refused_before_the_model_runs(
    gemma_models: GemmaModels,
) -> None:
    """Read pictures without a key, for some of which the model itself would invent a code."""
    scene, finder = Scene(77, grounds=8), CaliperReader.load(CALIPER)
    pictures = [scene.whole(640, 480, kind="none").picture for _ in range(12)]
    without_key = [picture for picture in pictures if finder.spot(picture) is None]
    assert len(without_key) >= 4
    results = reader(gemma_models.merged).read(
        [Photo(picture, (640, 480), "JPEG", 1.0) for picture in without_key]
    )
    assert outcomes(results) == [Reason.NOT_A_KEY] * len(without_key)


def test_digest_of_the_reader_depends_on_precision_and_key_finder(
    gemma_models: GemmaModels,
) -> None:
    """Compare the digests of readers. The cache uses the digest to keep their readings apart."""
    digests = [
        load(gemma_models.merged, Choices(precision=precision, finder_folder=CALIPER)).info.digest
        for precision in ("fp32", "bf16")
    ]
    assert len({*digests, load(gemma_models.merged, Choices(precision="fp32")).info.digest}) == 3


def test_adapter_with_another_base_model_of_the_same_size_is_refused(
    gemma_models: GemmaModels, tmp_path: Path
) -> None:
    from tools.training.tiny_gemma import build

    build(tmp_path / "other", side=64, image_tokens=16, seed=1)
    with pytest.raises(ModelError, match="other is not the base that the adapter was trained on"):
        load(gemma_models.lora, Choices(base_model=tmp_path / "other", finder_folder=CALIPER))


def test_folder_without_a_manifest_is_read_with_the_default_manifest(
    gemma_models: GemmaModels, tmp_path: Path
) -> None:
    """Read photos with the default manifest, which has another prompt than the training.

    So photos may be refused or misread, but no reading may claim to be calibrated.
    """
    legacy = Path(
        shutil.copytree(gemma_models.merged, tmp_path / "gemma3n_keynet_vision_merged_enhanced")
    )
    (legacy / "manifest.toml").unlink()
    loaded = reader(legacy)
    assert (loaded.info.name, loaded.info.kind) == (
        "gemma3n_keynet_vision_merged_enhanced",
        "gemma-merged",
    )
    assert isinstance(loaded, GemmaReader)
    assert (
        loaded.manifest.picture.fit,
        loaded.manifest.picture.side,
        loaded.manifest.prompt.image,
    ) == ("squash", 336, "last")
    for first in loaded.read(photos(gemma_models)):
        assert isinstance(first, Unreadable) or (not first.calibrated and 0 < first.confidence <= 1)


def test_readings_are_calibrated_after_the_calibrate_command(
    gemma_models: GemmaModels, tmp_path: Path
) -> None:
    """Calibrate on photos that the model has learned by heart, and on others that it misreads."""
    folder = copy_with(gemma_models.merged, tmp_path, reply={"least_mass": 0.0})
    labelled = tmp_path / "labelled"
    draw(labelled, 40)
    known = [shot for shot in shots(labelled) if shot.codes]
    command = [sys.executable, str(ROOT / "app.py"), "calibrate", str(labelled)]
    variables = {
        "MODEL_PATH": str(folder),
        "KEYLIKE_LOGS": str(tmp_path / "logs"),
        "KEYLIKE_PRECISION": "fp32",
    }
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        env=environment() | variables,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert 20 <= report["calibration"]["fitted_on"] <= len(known) == report["photos"]
    assert report["after"]["calibration_error"] < report["before"]["calibration_error"]
    result = reader(folder).read(photos(gemma_models)[:1])[0]
    assert isinstance(result, Unreadable) or result.calibrated
    plain = reader(gemma_models.merged).read(photos(gemma_models)[:1])[0]
    assert isinstance(plain, Reading)
    assert isinstance(result, Unreadable) or result.confidence < plain.confidence, (
        "calibration must lower the confidence of an overconfident model"
    )
