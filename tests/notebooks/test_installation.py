"""Which Python serves: the notebook's own where it has all that is pinned, otherwise one that is made."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from notebooks.installation import has_packages, install, server_python
from tests.notebooks.running import ROOT
from tests.test_locks import has, line, wheel


def test_a_notebook_whose_python_has_everything_uses_that(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert server_python(ROOT, gemma=False) == Path(sys.executable)
    assert capsys.readouterr().out == ""


def test_otherwise_an_environment_is_made_and_nothing_else_changes(
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
    python = server_python(
        tmp_path, gemma=False
    )  # where there is nothing of Keylike that could look
    assert (
        python == tmp_path / ".venv" / "bin" / "python" and "Installing" in capsys.readouterr().out
    )
    assert has(tmp_path / ".venv", "sound") and not has(Path(sys.prefix), "sound")
    assert not has_packages(python, ROOT, gemma=False)
    lock.write_text("sound==1.0 --hash=sha256:" + "0" * 64)
    (tmp_path / ".venv" / "lib").rename(tmp_path / "away")
    with pytest.raises(RuntimeError, match="DO NOT MATCH THE HASHES"):
        install(tmp_path, ["requirements.txt"])
