"""Tests of the `doctor` command as a user runs it: all checks, faults, and no secrets."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def doctor(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `doctor` in a process of its own, with port 0 to avoid conflicts with other programs."""
    command = [sys.executable, str(ROOT / "app.py"), "doctor", *words]
    surroundings = {**os.environ, "KEYLIKE_PORT": "0", "COLUMNS": "200", **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=surroundings)


def findings(result: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """Return the findings in the output of `doctor --json`, by name."""
    assert len(result.stdout.splitlines()) == 1, result.stderr
    return {finding["name"]: finding for finding in json.loads(result.stdout)["findings"]}


@pytest.fixture
def caliper(tmp_path: Path) -> Path:
    """Return a copy of the embedded reader's folder."""
    return Path(shutil.copytree(ROOT / "models" / "caliper", tmp_path / "models" / "caliper"))


@pytest.fixture
def occupied_port() -> Iterator[int]:
    """Return a port on which another program listens and does not respond."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_doctor_prints_a_table_of_findings(tmp_path: Path) -> None:
    result = doctor(KEYLIKE_LOGS=str(tmp_path / "logs"))
    assert result.returncode == 0, result.stdout
    assert "what to do" in result.stdout and "caliper 1.3.0 (caliper)" in result.stdout
    assert not (tmp_path / "logs").exists()


def test_doctor_reports_an_invalid_setting_first_and_continues() -> None:
    result = doctor("--json", KEYLIKE_PROT="1")
    first, *others = json.loads(result.stdout)["findings"]
    assert result.returncode == 1
    assert (first["name"], first["state"]) == ("settings", "fault")
    assert "did you mean KEYLIKE_PORT?" in first["saw"]
    assert {"Python", "embedded reader", "port"} <= {finding["name"] for finding in others}


def test_doctor_reports_an_altered_model_an_occupied_port_and_an_unwritable_log(
    caliper: Path, occupied_port: int
) -> None:
    with (caliper / "finder.onnx").open("ab") as file:
        file.write(b"more")
    result = doctor(
        "--json",
        KEYLIKE_MODELS=str(caliper.parent),
        KEYLIKE_PORT=str(occupied_port),
        KEYLIKE_LOGS="/dev/null/logs",
    )
    found = findings(result)
    assert result.returncode == 1
    assert {name for name, finding in found.items() if finding["state"] == "fault"} == {
        "embedded reader",
        "port",
        "logs",
    }
    assert "finder.onnx does not match its SHA-256" in found["embedded reader"]["saw"]
    assert str(occupied_port) in found["port"]["saw"] and "KEYLIKE_PORT" in found["port"]["advice"]
    assert json.loads(result.stdout)["faults"] == 3


def test_doctor_checks_a_gemma_model_and_the_embedded_reader(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    own = (
        'name = "keys"\nversion = "1"\nkind = "gemma-merged"\nkeyways = '
        '["SC1"]\n[files]\n"config.json" = "00"\n'
    )
    (folder / "manifest.toml").write_text(own)
    (folder / "config.json").write_text("{}")
    found = findings(doctor("--json", MODEL_PATH=str(folder), KEYLIKE_STRICT="true"))
    assert found["model"]["state"] == "fault" and found["embedded reader"]["state"] == "ok"
    assert "config.json does not match" in found["model"]["saw"]
    assert "does not start" in found["model"]["advice"]
    assert found["packages for Gemma"]["state"] != "note"


def test_doctor_reports_that_the_server_cannot_start_without_a_reader(
    tmp_path: Path,
) -> None:
    found = findings(doctor("--json", MODEL_PATH=str(tmp_path), KEYLIKE_MODELS=str(tmp_path)))
    assert [found[name]["state"] for name in ("model", "embedded reader")] == ["fault", "fault"]
    assert "does not start" in found["model"]["advice"]


def test_doctor_never_shows_secrets() -> None:
    result = doctor(
        NGROK_TOKEN="too short", KEYLIKE_API_KEY="open sesame, please", KEYLIKE_HOST="0.0.0.0"
    )
    assert "NGROK_TOKEN is set" in result.stdout
    for output in (result.stdout, result.stderr):
        assert "too short" not in output and "sesame" not in output
