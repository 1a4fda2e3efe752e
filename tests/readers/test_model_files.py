"""Manifests and hashes: what is wrong is named by folder and file, and never by a path that /health would show."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from keylike.errors import ModelError
from keylike.readers.model_files import check_files, read_manifest, sha256


def test_hash_of_a_file_larger_than_one_piece(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"key" * 500_000)
    assert sha256(tmp_path / "weights") == hashlib.sha256(b"key" * 500_000).hexdigest()


@pytest.mark.parametrize("files", [{"weights": "00"}, {"gone": "00"}, {"../weights": "00"}, {}])
def test_messages_hold_no_path(tmp_path: Path, files: dict[str, str]) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_bytes(b"other")
    with pytest.raises(ModelError, match="model/") as told:
        check_files(folder, {"files": files})
    assert str(tmp_path) not in str(told.value)


def test_missing_manifest_is_named_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^nowhere/manifest\.toml cannot be read") as told:
        read_manifest(tmp_path / "nowhere")
    assert str(tmp_path) not in str(told.value)
