"""Tests of reading the headers of safetensors files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keylike.errors import ModelError
from keylike.readers.gemma.weights import Tensor, parameters, tensors
from tests.readers.gemma.fake_folders import safetensors, sharded


def test_header_contains_names_types_and_shapes_of_tensors(tmp_path: Path) -> None:
    safetensors(tmp_path / "a.safetensors", {"one": (2, 3), "none": (), "two": (5,)})
    assert tensors(tmp_path / "a.safetensors") == {
        "one": Tensor("F32", (2, 3)),
        "none": Tensor("F32", ()),
        "two": Tensor("F32", (5,)),
    }


def test_parameters_in_all_weight_files_are_counted(tmp_path: Path) -> None:
    assert parameters(sharded(tmp_path / "keys")) == 8


def _file(header: object, data: int = 0) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(data)


ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a safetensors file"),
        (b"\x01\x00", "not a safetensors file"),
        (b"<!DOCTYPE html><html>Not Found</html>", "not a safetensors file"),
        ((2**63).to_bytes(8, "little") + b"{}", "not a safetensors file"),
        ((2).to_bytes(8, "little") + b"{]", "header cannot be read"),
        ((2).to_bytes(8, "little") + b"\xff\xfe", "header cannot be read"),
        (_file([]), "header cannot be read"),
        (_file({"a": 3}), "header is invalid"),
        (_file({"a": {"dtype": "F32", "shape": [2]}}), "header is invalid"),
        (_file({"a": ONE | {"data_offsets": [0]}}), "header is invalid"),
        (_file({"a": ONE}, 7), "shorter than its header says"),
        (_file({"a": ONE}, 9), "longer than its header says"),
    ],
)
def test_damaged_safetensors_file_raises_model_error(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=f"a.safetensors.*{message}"):
        tensors(tmp_path / "a.safetensors")
