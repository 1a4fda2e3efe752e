"""What comes from Colab, and what takes its place elsewhere. Colab itself is a stand-in: its modules exist nowhere else."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from notebooks import surroundings

JPEG = b"\xff\xd8\xff of a key"


class SecretNotFoundError(Exception):
    """As Colab's."""


class Colab:
    """Remembers what was mounted and where an upload was written."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.mounted: list[str] = []
        self.uploads: list[Path] = []

    def get(self, name: str) -> str:
        """A secret."""
        if name not in self.secrets:
            raise SecretNotFoundError(f"Secret {name} does not exist.")
        return self.secrets[name]

    def mount(self, where: str) -> None:
        """The user's Drive."""
        self.mounted.append(where)

    def upload_file(self, name: str) -> None:
        """What the user picks."""
        self.uploads.append(Path(name))
        Path(name).write_bytes(JPEG)


@pytest.fixture
def colab(monkeypatch: pytest.MonkeyPatch) -> Colab:
    """The notebook is in it."""
    made = Colab()
    parts: dict[str, Any] = {
        "userdata": {"get": made.get},
        "drive": {"mount": made.mount},
        "files": {"upload_file": made.upload_file},
    }
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    for name, functions in parts.items():
        module = ModuleType(f"google.colab.{name}")
        module.__dict__.update(functions)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return made


def typed(text: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Somebody who types that; what they were asked."""
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return text

    monkeypatch.setattr(getpass, "getpass", answer)
    return asked


def test_the_token_is_colabs_secret_without_a_question(
    colab: Colab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    colab.secrets["NGROK_TOKEN"] = " 2secret\n"
    asked = typed("2typed", monkeypatch)
    assert surroundings.ngrok_token() == "2secret" and asked == [] and capsys.readouterr().out == ""


def test_without_a_secret_it_is_asked_for_unseen(
    colab: Colab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = typed("2typed", monkeypatch)
    assert surroundings.ngrok_token() == "2typed" and len(asked) == 1
    said = capsys.readouterr().out
    assert "no secret NGROK_TOKEN" in said and "2typed" not in said


def test_elsewhere_the_environment_goes_first_and_enter_alone_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = typed(" ", monkeypatch)
    assert surroundings.ngrok_token() is None and len(asked) == 1
    monkeypatch.setenv("NGROK_TOKEN", "2environment")
    assert surroundings.ngrok_token() == "2environment" and len(asked) == 1


def test_drive_is_asked_for_only_where_the_model_lies_there(colab: Colab, tmp_path: Path) -> None:
    assert surroundings.model_folder(" ") is None
    assert surroundings.model_folder(str(tmp_path)) == tmp_path
    assert colab.mounted == []
    with pytest.raises(FileNotFoundError, match="no folder"):
        surroundings.model_folder("/content/drive/MyDrive/my-lora")
    assert colab.mounted == ["/content/drive"]


def test_an_upload_is_on_disk_no_longer_than_it_takes(colab: Colab, tmp_path: Path) -> None:
    assert surroundings.photo("upload", tmp_path / "none") == JPEG
    assert [file.exists() or file.parent.exists() for file in colab.uploads] == [False]


def test_a_photo_by_its_path_and_the_sample(tmp_path: Path) -> None:
    (tmp_path / "mine.jpg").write_bytes(JPEG)
    (tmp_path / "sample.jpg").write_bytes(JPEG[:3])
    assert surroundings.photo(str(tmp_path / "mine.jpg"), tmp_path / "sample.jpg") == JPEG
    assert surroundings.photo("sample", tmp_path / "sample.jpg") == JPEG[:3]
    with pytest.raises(ValueError, match="Only Colab"):
        surroundings.photo("upload", tmp_path / "sample.jpg")
