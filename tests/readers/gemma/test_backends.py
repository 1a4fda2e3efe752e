"""Tests of the selection of the backend by name, installed packages and hardware."""

from __future__ import annotations

from typing import Any

import pytest

from keylike.errors import ModelError
from keylike.readers.gemma import backends


def machine(patch: pytest.MonkeyPatch, cuda: bool, missing: tuple[str, ...]) -> None:
    """Simulate a machine with or without CUDA, on which some packages are missing."""
    patch.setattr(backends, "_has_cuda", lambda: cuda)
    patch.setattr(backends, "find_spec", lambda name: None if name in missing else object())


@pytest.mark.parametrize(
    ("requested", "cuda", "missing", "expected"),
    [
        ("auto", True, (), "unsloth"),
        ("auto", True, ("unsloth",), "transformers"),
        ("auto", False, (), "transformers"),
        ("transformers", True, (), "transformers"),
        ("unsloth", True, (), "unsloth"),
    ],
)
def test_backend_is_chosen_by_name_hardware_and_packages(
    monkeypatch: pytest.MonkeyPatch,
    requested: str,
    cuda: bool,
    missing: tuple[str, ...],
    expected: str,
) -> None:
    machine(monkeypatch, cuda, missing)
    assert backends.choose(requested).name == expected


@pytest.mark.parametrize(
    ("requested", "cuda", "missing", "message"),
    [
        ("unsloth", False, (), "KEYLIKE_BACKEND=unsloth needs an NVIDIA GPU"),
        ("unsloth", True, ("unsloth",), "unsloth is not installed.*locks/gpu.txt"),
        ("auto", False, ("torch", "peft"), "torch, peft not installed.*locks/gemma.txt"),
    ],
)
def test_backend_with_a_missing_requirement_raises_model_error(
    monkeypatch: pytest.MonkeyPatch,
    requested: str,
    cuda: bool,
    missing: tuple[str, ...],
    message: str,
) -> None:
    machine(monkeypatch, cuda, missing)
    with pytest.raises(ModelError, match=message):
        backends.choose(requested)


@pytest.mark.gemma
def test_transformers_is_chosen_on_this_machine_without_a_gpu() -> None:
    torch: Any = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert backends.choose("auto").name == "transformers"
    with pytest.raises(ModelError, match="PyTorch finds none"):
        backends.choose("unsloth")
