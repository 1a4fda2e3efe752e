"""Tests of checking model files. Errors name the folder and the file, but not the whole path."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from keylike.errors import ModelError
from keylike.readers.model_files import check_files, read_manifest, sha256


def test_sha256_of_a_large_file_is_right(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"key" * 500_000)
    assert sha256(tmp_path / "weights") == hashlib.sha256(b"key" * 500_000).hexdigest()


@pytest.mark.parametrize("files", [{"weights": "00"}, {"gone": "00"}, {"../weights": "00"}, {}])
def test_error_about_a_model_file_contains_no_path(tmp_path: Path, files: dict[str, str]) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_bytes(b"other")
    with pytest.raises(ModelError, match="model/") as caught:
        check_files(folder, {"files": files})
    assert str(tmp_path) not in str(caught.value)


def test_error_about_a_missing_manifest_contains_no_path(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^nowhere/manifest\.toml cannot be read") as caught:
        read_manifest(tmp_path / "nowhere")
    assert str(tmp_path) not in str(caught.value)
