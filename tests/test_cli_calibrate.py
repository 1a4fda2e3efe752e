"""Tests of the `calibrate` command: it changes the manifest, and reports mistakes in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from keylike.cli import cli
from keylike.readers import loading as model_loader
from keylike.readers.contract import Reader
from keylike.readers.gemma.manifest import gemma_manifest
from keylike.readers.model_files import check_files, read_manifest
from tests.fakes import colour_reader
from tests.readers.gemma.test_calibrate import BLUE, CODES, ColourScorer, add, label

WRITTEN = """\
name = "keys"  # ours
version = "1.0.0"
kind = "gemma-merged"
keyways = ["SC1", "KW1"]  # all we have

[files]
"config.json" = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

[calibration]  # of an older set
method = "temperature"
temperature = 1.0
fitted_on = 30
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a Gemma folder, for which a reader of colours is loaded instead of a model."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "manifest.toml").write_text(WRITTEN)
    monkeypatch.setenv("MODEL_PATH", str(folder))
    loads(monkeypatch, ColourScorer(gemma_manifest(read_manifest(folder))))
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder with 60 labelled photos of keys and one without a key."""
    folder = label(tmp_path / "photos")
    add(folder, BLUE, CODES)
    return folder


def loads(monkeypatch: pytest.MonkeyPatch, reader: object) -> None:
    """Make this reader load for every model folder."""
    monkeypatch.setattr(model_loader, "load", lambda folder, choices=None: reader)


def calibrate(folder: Path) -> Result:
    """Run `calibrate` with this folder of photos."""
    return CliRunner().invoke(cli, ["calibrate", str(folder)])


def test_calibrate_changes_the_manifest_and_keeps_its_comments(model: Path, photos: Path) -> None:
    result = calibrate(photos)
    assert result.exit_code == 0
    said = json.loads(result.stdout.splitlines()[-1])
    text = (model / "manifest.toml").read_text()
    table = read_manifest(model)
    check_files(model, table)
    calibration = gemma_manifest(table).calibration
    assert calibration is not None
    assert said["calibration"] == calibration.model_dump(mode="json", exclude_none=True)
    assert calibration.fitted_on == 60
    assert text.startswith(WRITTEN[: WRITTEN.index("method")])
    assert said["before"]["log_loss"] > said["after"]["log_loss"]
    assert said["refused"] == {"not_a_key": 1}
    assert "60 of 61 photos" in result.stdout and "before" in result.stdout


def test_calibrate_with_too_few_photos_changes_nothing(model: Path, tmp_path: Path) -> None:
    result = calibrate(label(tmp_path / "few", 12))
    assert result.exit_code == 2
    assert "label 8 more" in result.stderr
    assert (model / "manifest.toml").read_text() == WRITTEN


def test_calibrate_refuses_a_folder_without_labels_before_loading(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads(monkeypatch, None)
    result = calibrate(tmp_path)
    assert result.exit_code == 2
    assert "labels.jsonl" in result.stderr


def test_calibrate_reports_a_manifest_that_cannot_be_written(model: Path, photos: Path) -> None:
    (model / "manifest.toml").unlink()
    (model / "manifest.toml").mkdir()
    result = calibrate(photos)
    assert result.exit_code == 2
    assert "manifest.toml cannot be written" in result.stderr
    assert "Traceback" not in result.output


def test_calibrate_refuses_the_caliper(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader: Reader = colour_reader()
    loads(monkeypatch, reader)
    result = calibrate(photos)
    assert result.exit_code == 2
    assert "make train" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_calibrate_with_agree_also_fits_the_agreement_of_two_readers(
    model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hearing = ColourScorer(gemma_manifest(read_manifest(model)))
    monkeypatch.setattr(
        model_loader,
        "load",
        lambda folder, choices=None: hearing if folder == model else colour_reader(),
    )
    monkeypatch.setenv("KEYLIKE_AGREE", "1")
    result = calibrate(photos)
    assert result.exit_code == 0
    agreement = gemma_manifest(read_manifest(model)).agreement
    assert agreement is not None
    assert json.loads(result.stdout.splitlines()[-1])["agreement"] == agreement.model_dump(
        mode="json"
    )
