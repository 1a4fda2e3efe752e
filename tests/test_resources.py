"""Tests of the default folders, in a checkout and as an installed package."""

from __future__ import annotations

from pathlib import Path

import pytest

from keylike import resources
from keylike.settings import Settings

ROOT = Path(__file__).resolve().parent.parent


def test_folders_in_a_checkout_are_in_the_repository_root() -> None:
    assert not resources.INSTALLED
    assert resources.HOME.samefile(ROOT) and resources.state_folder().samefile(ROOT)
    assert (resources.WEB / "index.html").is_file()
    settings = Settings.model_construct()
    assert settings.logs == resources.HOME / "logs"
    assert settings.tokens == resources.HOME / "tokens.sqlite3"
    assert settings.models == resources.HOME / "models"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"XDG_STATE_HOME": "/state", "HOME": "/home/someone"}, "/state/keylike"),
        ({"XDG_STATE_HOME": "", "HOME": "/home/someone"}, "/home/someone/.local/state/keylike"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, "/h/.local/state/keylike"),
    ],
)
def test_state_folder_of_an_installed_package_is_in_the_home_folder(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "INSTALLED", True)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert resources.state_folder() == Path(expected)
    assert Settings.model_construct().logs == Path(expected) / "logs"


def test_state_folder_without_a_home_folder_is_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("no home directory")

    monkeypatch.setattr(resources, "INSTALLED", True)
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert resources.state_folder() == tmp_path
