"""Tests of the choice of the Python that runs the server of a notebook."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from notebooks.installation import has_packages, install, server_python
from tests.notebooks.notebook_runner import ROOT
from tests.test_locks import has, line, wheel


def test_server_python_is_the_current_python_if_it_has_all_packages(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert server_python(ROOT, gemma=False) == Path(sys.executable)
    assert capsys.readouterr().out == ""


def test_server_python_is_a_new_environment_if_packages_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path),
        "PIP_CONFIG_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(name, value)
    lock = tmp_path / "requirements.txt"
    lock.write_text(line(wheel(tmp_path, "sound")))
    # This folder contains no copy of Keylike.
    python = server_python(tmp_path, gemma=False)
    assert (
        python == tmp_path / ".venv" / "bin" / "python" and "Installing" in capsys.readouterr().out
    )
    assert has(tmp_path / ".venv", "sound") and not has(Path(sys.prefix), "sound")
    assert not has_packages(python, ROOT, gemma=False)
    lock.write_text("sound==1.0 --hash=sha256:" + "0" * 64)
    (tmp_path / ".venv" / "lib").rename(tmp_path / "away")
    with pytest.raises(RuntimeError, match="DO NOT MATCH THE HASHES"):
        install(tmp_path, ["requirements.txt"])
