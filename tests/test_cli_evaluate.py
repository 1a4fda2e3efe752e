"""Tests of the `evaluate` command: several labelled folders, and the report page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from keylike.cli import cli
from keylike.readers import loading as model_loader
from tests.fakes import colour_reader
from tools.plain_pictures import BLUE, plain

run = CliRunner()


@pytest.fixture(autouse=True)
def colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the commands load the colour reader instead of a model."""
    monkeypatch.setattr(model_loader, "load", lambda folder, choices=None: colour_reader())


def labelled(folder: Path, photo: bytes, codes: list[int]) -> Path:
    """Return a labelled folder with one photo, whose label is SC1 with `codes`."""
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a.jpg").write_bytes(photo)
    (folder / "labels.jsonl").write_text(
        json.dumps({"file": "a.jpg", "keyway": "SC1", "bitting": codes, "tier": "easy"})
    )
    return folder


def test_evaluate_scores_several_folders_together(tmp_path: Path) -> None:
    folders = [
        labelled(tmp_path / "one", plain(), [2, 5, 4, 7, 3]),
        labelled(tmp_path / "two", plain(BLUE), [1, 1, 1, 1, 1]),
    ]
    result = run.invoke(cli, ["evaluate", *map(str, folders)])
    assert result.exit_code == 0
    scores = json.loads(result.output.splitlines()[-1])
    assert scores["readable"]["all"]["photos"] == 2
    assert scores["coverage"][0]["accuracy"] == 1.0
    assert "calibration error 0.200" in " ".join(result.output.split())


def test_evaluate_writes_the_report_and_prints_the_table(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = run.invoke(
        cli,
        [
            "evaluate",
            str(labelled(tmp_path / "mine", plain(), [2, 5, 4, 6, 3])),
            "--report",
            str(page),
        ],
    )
    assert result.exit_code == 0
    assert json.loads(result.output.splitlines()[-1])["readable"]["all"]["whole"] == 0.0
    assert "How well" in page.read_text() and "colour" in page.read_text()
    assert str(tmp_path) not in page.read_text()


@pytest.mark.parametrize("file", ["/dev/zero", "../a.jpg", "images/../../a.jpg"])
def test_label_that_names_a_file_outside_its_folder_is_refused(tmp_path: Path, file: str) -> None:
    folder = labelled(tmp_path / "mine", plain(), [2, 5, 4, 7, 3])
    (tmp_path / "a.jpg").write_bytes(plain())
    row = {"file": file, "keyway": "SC1", "bitting": [2, 5, 4, 7, 3], "tier": "easy"}
    (folder / "labels.jsonl").write_text(json.dumps(row))
    result = run.invoke(cli, ["evaluate", str(folder)])
    assert result.exit_code == 2 and "line 1 of labels.jsonl is not a label" in " ".join(
        result.output.split()
    )


def test_report_overwrites_files_only_with_force_and_never_its_input(tmp_path: Path) -> None:
    folder, page = labelled(tmp_path / "mine", plain(), [2, 5, 4, 7, 3]), tmp_path / "page.html"
    page.write_text("mine")
    labels = folder / "labels.jsonl"
    for target, words in (
        (labels, "is one of the files to read"),
        (folder / "images" / "a.jpg", "is one of the files to read"),
        (page, "overwrite it with --force"),
    ):
        before = target.read_bytes()
        result = run.invoke(cli, ["evaluate", str(folder), "--report", str(target)])
        assert result.exit_code == 2 and words in result.output
        assert target.read_bytes() == before
    forced = ["evaluate", str(folder), "--report", str(labels), "--force"]
    assert run.invoke(cli, forced).exit_code == 2
    forced = ["evaluate", str(folder), "--report", str(page), "--force"]
    assert run.invoke(cli, forced).exit_code == 0
    assert "How well" in page.read_text()


def test_report_that_cannot_be_written_prints_one_line(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "mine", plain(), [2, 5, 4, 7, 3])
    result = run.invoke(
        cli, ["evaluate", str(folder), "--report", str(tmp_path / "none" / "page.html")]
    )
    assert (result.exit_code, len(result.output.strip().splitlines())) == (2, 1)
    assert "--report: the folder" in result.output
    result = run.invoke(cli, ["evaluate", str(folder), "--report", str(tmp_path)])
    assert result.exit_code == 2
    assert "is a folder" in result.output and "Traceback" not in result.output
