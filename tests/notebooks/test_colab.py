"""Tests of the functions that use Colab's features, with a fake of Colab's modules."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from notebooks import colab as colab_module

JPEG = b"\xff\xd8\xff of a key"


class SecretNotFoundError(Exception):
    """Fake of Colab's exception for a missing secret."""


class Colab:
    """Fake of Colab's modules that records mounts and uploads."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.mounted: list[str] = []
        self.uploads: list[Path] = []

    def get(self, name: str) -> str:
        """Return a secret of the user."""
        if name not in self.secrets:
            raise SecretNotFoundError(f"Secret {name} does not exist.")
        return self.secrets[name]

    def mount(self, where: str) -> None:
        """Record the mount of the user's Drive."""
        self.mounted.append(where)

    def upload_file(self, name: str) -> None:
        """Write the file that the user uploads."""
        self.uploads.append(Path(name))
        Path(name).write_bytes(JPEG)


@pytest.fixture
def colab(monkeypatch: pytest.MonkeyPatch) -> Colab:
    """Install the fake of Colab's modules."""
    stand_in = Colab()
    parts: dict[str, Any] = {
        "userdata": {"get": stand_in.get},
        "drive": {"mount": stand_in.mount},
        "files": {"upload_file": stand_in.upload_file},
    }
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    for name, functions in parts.items():
        module = ModuleType(f"google.colab.{name}")
        module.__dict__.update(functions)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return stand_in


def answer_prompts(text: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Answer password prompts with `text`, and return a list to which the prompts are added."""
    prompts: list[str] = []

    def answer(question: str) -> str:
        prompts.append(question)
        return text

    monkeypatch.setattr(getpass, "getpass", answer)
    return prompts


def test_ngrok_token_in_a_colab_secret_needs_no_prompt(
    colab: Colab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    colab.secrets["NGROK_TOKEN"] = " 2secret\n"
    prompts = answer_prompts("2typed", monkeypatch)
    assert (
        colab_module.ngrok_token() == "2secret" and prompts == [] and capsys.readouterr().out == ""
    )


def test_user_is_asked_for_the_ngrok_token_without_a_colab_secret(
    colab: Colab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = answer_prompts("2typed", monkeypatch)
    assert colab_module.ngrok_token() == "2typed" and len(prompts) == 1
    output = capsys.readouterr().out
    assert "no secret NGROK_TOKEN" in output and "2typed" not in output


def test_ngrok_token_outside_colab_comes_from_environment_or_prompt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prompts = answer_prompts(" ", monkeypatch)
    assert colab_module.ngrok_token() is None and len(prompts) == 1
    monkeypatch.setenv("NGROK_TOKEN", "2environment")
    assert colab_module.ngrok_token() == "2environment" and len(prompts) == 1


def test_model_folder_mounts_google_drive_only_if_needed(colab: Colab, tmp_path: Path) -> None:
    assert colab_module.model_folder(" ") is None
    assert colab_module.model_folder(str(tmp_path)) == tmp_path
    assert colab.mounted == []
    with pytest.raises(FileNotFoundError, match="not a folder"):
        colab_module.model_folder("/content/drive/MyDrive/my-lora")
    assert colab.mounted == ["/content/drive"]


def test_photo_upload_is_deleted_from_disk(colab: Colab, tmp_path: Path) -> None:
    assert colab_module.photo("upload", tmp_path / "none") == JPEG
    assert [file.exists() or file.parent.exists() for file in colab.uploads] == [False]


def test_photo_can_be_a_path_or_the_sample_but_no_upload_outside_colab(tmp_path: Path) -> None:
    (tmp_path / "mine.jpg").write_bytes(JPEG)
    (tmp_path / "sample.jpg").write_bytes(JPEG[:3])
    assert colab_module.photo(str(tmp_path / "mine.jpg"), tmp_path / "sample.jpg") == JPEG
    assert colab_module.photo("sample", tmp_path / "sample.jpg") == JPEG[:3]
    with pytest.raises(ValueError, match="Only Colab"):
        colab_module.photo("upload", tmp_path / "sample.jpg")
