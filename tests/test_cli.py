"""Tests of the command line: tables, JSON, and one line of output for every mistake."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
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
    """Make the commands load the colour reader instead of a model."""
    monkeypatch.setattr(model_loader, "load", lambda folder, choices=None: colour_reader())


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Return a photo of a key."""
    path = tmp_path / "key.jpg"
    path.write_bytes(plain())
    return path


def start(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a `keylike` command in a process of its own."""
    command = [sys.executable, str(ROOT / "app.py"), *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )


def test_help_shows_switches_without_a_type(tmp_path: Path) -> None:
    for words in (["-h"], ["serve", "--help"], ["evaluate", "-h"], ["tokens", "list", "-h"]):
        result = start(*words, COLUMNS="120")
        assert result.returncode == 0 and "Show this message and exit." in result.stdout
        assert "bool" not in result.stdout and "--no-" not in result.stdout


def test_version_option_prints_the_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert start("--version").stdout == f"keylike {project['version']}\n"


def test_shell_completion_completes_a_command() -> None:
    result = start(_KEYLIKE_COMPLETE="complete_bash", COMP_WORDS="keylike ev", COMP_CWORD="1")
    assert result.stdout.split() == ["evaluate"]


def test_options_of_serve_are_refused_with_other_commands() -> None:
    result = start("--port", "5001", "doctor")
    assert result.returncode == 2 and result.stderr.startswith("keylike: --port belongs to serve")


def test_start_with_several_bad_settings_prints_a_line_for_each() -> None:
    result = start("read", "x.jpg", MODEL_PTH="x", NGROK_TOKN="y", KEYLIKE_AGREE="maybe")
    assert result.returncode == 2
    assert [line.split("(")[0] for line in sorted(result.stderr.splitlines())] == [
        "keylike: KEYLIKE_AGREE: must be true or false, not 'maybe'",
        "keylike: unknown setting MODEL_PTH ",
        "keylike: unknown setting NGROK_TOKN ",
    ]


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_overlay_never_overwrites_the_photo(
    tmp_path: Path, force: list[str], link: Callable[[Path, Path], None] | None
) -> None:
    photo, target = tmp_path / "key.jpg", tmp_path / "key.jpg"
    photo.write_bytes(plain())
    if link:
        target = tmp_path / "linked.png"
        link(photo, target)
    result = start("read", str(photo), "--overlay", str(target), *force)
    assert result.returncode == 2 and "is one of the files to read" in result.stderr
    assert photo.read_bytes() == plain()


def test_overlay_overwrites_an_existing_file_only_with_force(photo: Path, tmp_path: Path) -> None:
    sample, target = str(ROOT / "samples" / "sc1_01.jpg"), tmp_path / "seen.png"
    target.write_text("mine")
    refused = start("read", sample, "--overlay", str(target))
    assert refused.returncode == 2 and "overwrite it with --force" in refused.stderr
    assert target.read_text() == "mine"
    written = start("read", sample, "--overlay", str(target), "--force")
    assert written.returncode == 0 and target.read_bytes().startswith(b"\x89PNG")
    assert "key gauge" in written.stdout


@pytest.mark.parametrize("words", [[], ["doctor"], ["read", "x.jpg"]])
def test_command_without_the_packages_prints_one_line(words: list[str]) -> None:
    # The option -S hides the installed packages.
    result = subprocess.run(
        [sys.executable, "-S", "-E", str(ROOT / "app.py"), *words],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "lacks the package" in result.stderr and " serve\n" in result.stderr


def test_command_with_an_older_python_prints_one_line() -> None:
    program = f"import sys; sys.version_info = (3, 9, 2); sys.path[:0] = [{str(ROOT)!r}]"
    program += "; from keylike.__main__ import main; main()"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "keylike: Keylike needs Python 3.11, 3.12 or 3.13; this is Python 3.9.2\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["typer", "keylike.service", "onnxruntime"])
def test_signal_during_the_start_ends_the_server_with_the_line_stopped(
    tmp_path: Path, module: str, number: signal.Signals
) -> None:
    # The process sends itself the signal in the middle of its imports.
    program = f"""
import builtins, os, sys
sys.path[:0] = [{str(ROOT)!r}]
from keylike.__main__ import main
original = builtins.__import__
def interrupted(name, *rest, **named):
    if name == {module!r}:
        builtins.__import__ = original
        os.kill(os.getpid(), {int(number)})
    return original(name, *rest, **named)
builtins.__import__ = interrupted
sys.argv = ["keylike", "serve"]
main()
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "KEYLIKE_PORT": "0", "KEYLIKE_LOGS": str(tmp_path)},
    )
    assert result.stdout.endswith("Stopped.\n") and "Traceback" not in result.stderr


def test_command_in_advice_of_doctor_works_as_printed(tmp_path: Path) -> None:
    result = start("doctor", "--json", KEYLIKE_HOST="0.0.0.0", KEYLIKE_PORT="0")
    found = {each["name"]: each["advice"] for each in json.loads(result.stdout)["findings"]}
    command = found["access"].removeprefix("create one: ").replace("NAME", "phone")
    variables = {**os.environ, "KEYLIKE_TOKENS": str(tmp_path / "t")}
    done = subprocess.run(["sh", "-c", command], env=variables, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("kl_"), done.stderr


def test_read_prints_a_table(photo: Path) -> None:
    result = run.invoke(cli, ["read", str(photo)])
    assert result.exit_code == 0
    assert "2,5,4,7,3" in result.output and "SC1" in result.output


def test_read_json_prints_the_same_json_as_the_server(photo: Path) -> None:
    result = run.invoke(cli, ["read", "--json", "--zipcode", "12345", str(photo), str(photo)])
    bodies = [json.loads(line) for line in result.output.splitlines()]
    assert [body["bitting"] for body in bodies] == ["2,5,4,7,3"] * 2
    assert bodies[0]["file"] == str(photo)
    assert bodies[0]["zipcode"] == "12345"


def test_endless_file_is_refused_as_too_large() -> None:
    result = run.invoke(cli, ["read", "--json", "/dev/zero"])
    assert (result.exit_code, json.loads(result.output)["code"]) == (1, "image_too_large")


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
            "; the fallback reader failed too: caliper does not exist",
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


@pytest.mark.parametrize(
    ("command", "source"), [("read", "samples/sc1_01.jpg"), ("evaluate", "samples")]
)
def test_read_and_evaluate_do_not_replace_a_missing_model(command: str, source: str) -> None:
    result = start(command, str(ROOT / source), MODEL_PATH="/none/gemma")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("keylike: /none/gemma: gemma does not exist")
    assert len(result.stderr.strip().splitlines()) == 1


def test_read_prints_one_line_if_loading_the_model_crashes(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
