"""The command line: tables, JSON, and one line for every mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from keylike.cli import cli
from keylike.readers import loading as model_loader
from keylike.readers.contract import Reader
from tests.fakes import colour_reader
from tools.plain_pictures import BLUE, plain

ROOT = Path(__file__).resolve().parent.parent
run = CliRunner()


@pytest.fixture(autouse=True)
def colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the command line load the colour reader."""
    monkeypatch.setattr(model_loader, "load", lambda folder, choices=None: colour_reader())


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Return a photo of a key."""
    path = tmp_path / "key.jpg"
    path.write_bytes(plain())
    return path


def start(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in its own process."""
    command = [sys.executable, str(ROOT / "app.py"), *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )


def test_read_prints_a_table(photo: Path) -> None:
    result = run.invoke(cli, ["read", str(photo)])
    assert result.exit_code == 0
    assert "2,5,4,7,3" in result.output and "SC1" in result.output


def test_read_json_prints_the_body_of_the_server(photo: Path) -> None:
    result = run.invoke(cli, ["read", "--json", "--zipcode", "12345", str(photo), str(photo)])
    bodies = [json.loads(line) for line in result.output.splitlines()]
    assert [body["bitting"] for body in bodies] == ["2,5,4,7,3"] * 2
    assert bodies[0]["file"] == str(photo)
    assert bodies[0]["zipcode"] == "12345"


def test_unreadable_or_missing_photo_exits_with_1(photo: Path, tmp_path: Path) -> None:
    sky = tmp_path / "sky.jpg"
    sky.write_bytes(plain(BLUE))
    result = run.invoke(cli, ["read", "--json", str(photo), str(sky), str(tmp_path / "none.jpg")])
    assert result.exit_code == 1
    assert [json.loads(line).get("code") for line in result.output.splitlines()] == [
        None,
        "unreadable",
        "no_image",
    ]
    assert "not_a_key" in result.output
    assert json.loads(result.output.splitlines()[1])["model_used"] == "colour-1.0.0"
    assert run.invoke(cli, ["read", str(sky)]).exit_code == 1


@pytest.mark.parametrize(
    "words", [["--zipcode", "1234", "x.jpg"], ["--overlay", "o.png", "x.jpg", "y.jpg"], []]
)
def test_wrong_arguments_exit_with_2(words: list[str]) -> None:
    assert run.invoke(cli, ["read", *words]).exit_code == 2


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"KEYLIKE_PROT": "1"}, "unknown setting KEYLIKE_PROT"),
        ({"KEYLIKE_PORT": "many"}, "KEYLIKE_PORT"),
        (
            {"MODEL_PATH": "/none/gemma", "KEYLIKE_STRICT": "1"},
            "keylike: /none/gemma: gemma does not exist",
        ),
        ({"KEYLIKE_MODELS": "/none"}, "keylike: /none/caliper: caliper does not exist"),
        (
            {"MODEL_PATH": "/none/gemma", "KEYLIKE_MODELS": "/none"},
            "; and in its place: caliper does not exist",
        ),
        (
            {"KEYLIKE_AGREE": "1", "KEYLIKE_STRICT": "1"},
            "KEYLIKE_AGREE needs MODEL_PATH to name a model other than the caliper",
        ),
        ({"KEYLIKE_LOGS": "/dev/null/logs"}, "KEYLIKE_LOGS"),
    ],
)
def test_start_with_bad_settings_prints_one_line(environment: dict[str, str], words: str) -> None:
    result = start(**{"KEYLIKE_PORT": "0", "KEYLIKE_LOGS": "logs", **environment})
    assert result.returncode == 2
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["read", "evaluate"])
def test_read_and_evaluate_use_no_spare_model(command: str) -> None:
    result = start(command, str(ROOT / "samples" / "sc1_01.jpg"), MODEL_PATH="/none/gemma")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("keylike: /none/gemma: gemma does not exist")
    assert len(result.stderr.strip().splitlines()) == 1


def test_load_that_crashes_prints_one_line(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(folder: Path, choices: object = None) -> Reader:
        raise KeyError("canary")

    monkeypatch.setattr(model_loader, "load", crash)
    result = run.invoke(cli, ["read", str(photo)])
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert (
        "the model could not be loaded (KeyError)" in result.output
        and "canary" not in result.output
    )


def test_help_lists_the_commands() -> None:
    result = start("--help")
    assert result.returncode == 0
    assert "serve" in result.stdout and "read" in result.stdout


def test_evaluate_scores_a_labelled_folder(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(plain())
    (tmp_path / "images" / "b.jpg").write_bytes(plain(BLUE))
    rows = [
        {"file": "a.jpg", "keyway": "SC1", "bitting": [2, 5, 4, 7, 3], "tier": "easy"},
        {"file": "b.jpg", "keyway": "SC1", "bitting": [1, 1, 1, 1, 1], "tier": "hard"},
    ]
    (tmp_path / "labels.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    result = run.invoke(cli, ["evaluate", "--misses", str(tmp_path)])
    assert result.exit_code == 0
    assert "b.jpg: hard SC1" in result.output
    scores = json.loads(result.output.splitlines()[-1])
    assert scores["readable"]["all"]["whole"] == 0.5
    assert scores["readable"]["easy"]["whole"] == 1


def test_evaluate_without_labels_exits_with_2(tmp_path: Path) -> None:
    result = run.invoke(cli, ["evaluate", str(tmp_path)])
    assert result.exit_code == 2
    assert "labels.jsonl" in result.output


def test_overlay_of_an_unreadable_photo_is_not_written(tmp_path: Path) -> None:
    sky, target = tmp_path / "sky.jpg", tmp_path / "seen.png"
    sky.write_bytes(plain(BLUE))
    result = run.invoke(cli, ["read", str(sky), "--overlay", str(target)])
    assert result.exit_code == 1
    assert "was not written" in result.output
    assert "Lay one key flat" in result.output
    assert not target.exists()
