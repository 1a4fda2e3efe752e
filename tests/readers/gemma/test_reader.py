"""The reader on a real tiny Gemma: alone or in a batch, by slots or freely, calibrated by its own command, and honest without a key."""

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
    """A Gemma folder as the server loads it."""
    return load(
        folder,
        Choices(
            backend="transformers", precision="fp32", max_batch=max_batch, finder_folder=CALIPER
        ),
    )


def photos(models: GemmaModels) -> list[Photo]:
    """All that it was taught."""
    return [open_photo(shot.path.read_bytes()) for shot in models.shots]


def told(results: Sequence[Reading | Unreadable]) -> list[object]:
    """Codes and reasons."""
    return [(one.keyway, one.codes) if isinstance(one, Reading) else one.reason for one in results]


def taught(models: GemmaModels) -> list[object]:
    """The same as it should be."""
    return [(shot.keyway, shot.codes) if shot.codes else Reason.NOT_A_KEY for shot in models.shots]


def changed(folder: Path, tmp_path: Path, **tables: dict[str, Any]) -> Path:
    """A copy whose manifest says otherwise here and there."""
    copy = Path(shutil.copytree(folder, tmp_path / folder.name))
    manifest = tomlkit.parse((copy / "manifest.toml").read_text())
    for name, table in tables.items():
        manifest.setdefault(name, tomlkit.table()).update(table)
    (copy / "manifest.toml").write_text(tomlkit.dumps(manifest))
    return copy


def test_a_batch_is_read_as_each_photo_alone(gemma_models: GemmaModels) -> None:
    several = photos(gemma_models)
    by_three = reader(gemma_models.merged, max_batch=3)
    assert (by_three.info.max_batch, by_three.info.workers) == (3, 1)
    together, alone = by_three.read(several), [by_three.read([photo])[0] for photo in several]
    assert told(together) == told(alone) == taught(gemma_models)
    for one, other in zip(together, alone, strict=True):
        if isinstance(one, Reading) and isinstance(other, Reading):
            assert one.confidence == pytest.approx(other.confidence, rel=1e-3)
            assert [c.codes for c in one.candidates][:1] == [c.codes for c in other.candidates][:1]


def test_free_replies_give_the_same_codes(gemma_models: GemmaModels, tmp_path: Path) -> None:
    free = reader(
        changed(gemma_models.merged, tmp_path, reply={"decoding": "free", "max_new_tokens": 40})
    )
    assert told(free.read(photos(gemma_models))) == taught(gemma_models)


def test_what_a_reading_is_made_of(gemma_models: GemmaModels) -> None:
    reading = reader(gemma_models.merged).read(photos(gemma_models)[:1])[0]
    assert isinstance(reading, Reading)
    assert len(reading.cuts) == len(reading.codes)
    assert all(reading.confidence <= cut.probability <= 1 for cut in reading.cuts)
    assert reading.candidates[0].codes == reading.codes
    assert not reading.calibrated
    assert reading.quality.px_per_mm and 3 < reading.quality.px_per_mm < 40


def test_where_the_finder_sees_no_key_the_model_is_not_asked(gemma_models: GemmaModels) -> None:
    """Pictures without a key that nobody taught it: a model this small would answer some of them with a code."""
    scene = Scene(77, grounds=8)
    several = [scene.whole(640, 480, kind="none").picture for _ in range(12)]
    results = reader(gemma_models.merged).read(
        [Photo(picture, (640, 480), "JPEG", 1.0) for picture in several]
    )
    assert told(results).count(Reason.NOT_A_KEY) >= 11


def test_the_same_weights_held_otherwise_are_another_reader(gemma_models: GemmaModels) -> None:
    """A cache that goes by the digest must not mix them up."""
    held = [
        load(gemma_models.merged, Choices(precision=precision, finder_folder=CALIPER)).info.digest
        for precision in ("fp32", "bf16")
    ]
    assert len({*held, load(gemma_models.merged, Choices(precision="fp32")).info.digest}) == 3


def test_a_lora_is_refused_over_another_base_of_the_same_shapes(
    gemma_models: GemmaModels, tmp_path: Path
) -> None:
    from tools.training.tiny_gemma import build

    build(tmp_path / "other", side=64, image_tokens=16, seed=1)
    with pytest.raises(ModelError, match="other is not the base that the adapter was trained on"):
        load(gemma_models.lora, Choices(base_model=tmp_path / "other", finder_folder=CALIPER))


def test_an_older_folder_without_a_manifest_reads_by_the_guides_defaults(
    gemma_models: GemmaModels, tmp_path: Path
) -> None:
    """It was taught another prompt and another framing, so what it says is worth little; but it is said honestly."""
    older = Path(
        shutil.copytree(gemma_models.merged, tmp_path / "gemma3n_keynet_vision_merged_enhanced")
    )
    (older / "manifest.toml").unlink()
    found = reader(older)
    assert (found.info.name, found.info.kind) == (
        "gemma3n_keynet_vision_merged_enhanced",
        "gemma-merged",
    )
    assert isinstance(found, GemmaReader)
    assert (
        found.manifest.picture.fit,
        found.manifest.picture.side,
        found.manifest.prompt.image,
    ) == ("squash", 336, "last")
    for one in found.read(photos(gemma_models)):
        assert isinstance(one, Unreadable) or (not one.calibrated and 0 < one.confidence <= 1)


def test_calibrate_fits_on_labelled_photos_and_the_answers_say_so(
    gemma_models: GemmaModels, tmp_path: Path
) -> None:
    """Photos of keys it knows by heart and of keys it never saw: right and wrong ones."""
    folder = changed(gemma_models.merged, tmp_path, reply={"least_mass": 0.0})
    labelled = tmp_path / "labelled"
    draw(labelled, 40)
    known = [shot for shot in shots(labelled) if shot.codes]
    command = [sys.executable, str(ROOT / "app.py"), "calibrate", str(labelled)]
    own = {
        "MODEL_PATH": str(folder),
        "KEYLIKE_LOGS": str(tmp_path / "logs"),
        "KEYLIKE_PRECISION": "fp32",
    }
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=environment() | own, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    told_last = json.loads(done.stdout.splitlines()[-1])
    assert 20 <= told_last["calibration"]["fitted_on"] <= len(known) == told_last["photos"]
    assert told_last["after"]["calibration_error"] < told_last["before"]["calibration_error"]
    result = reader(folder).read(photos(gemma_models)[:1])[0]
    assert isinstance(result, Unreadable) or result.calibrated
    plain = reader(gemma_models.merged).read(photos(gemma_models)[:1])[0]
    assert isinstance(plain, Reading)
    assert isinstance(result, Unreadable) or result.confidence < plain.confidence, (
        "it learnt that it is often wrong"
    )
