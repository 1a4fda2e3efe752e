"""Which backend runs Gemma: by name, by what is installed, by whether there is a GPU; and in plain words why one cannot."""

from __future__ import annotations

from typing import Any

import pytest

from keylike.errors import ModelError
from keylike.readers.gemma import backends


def machine(patch: pytest.MonkeyPatch, cuda: bool, absent: tuple[str, ...]) -> None:
    """Whether PyTorch finds an NVIDIA GPU, and what is not installed."""
    patch.setattr(backends, "_cuda", lambda: cuda)
    patch.setattr(backends, "find_spec", lambda name: None if name in absent else object())


@pytest.mark.parametrize(
    ("asked", "cuda", "absent", "chosen"),
    [
        ("auto", True, (), "unsloth"),
        ("auto", True, ("unsloth",), "transformers"),
        ("auto", False, (), "transformers"),
        ("transformers", True, (), "transformers"),
        ("unsloth", True, (), "unsloth"),
    ],
)
def test_choice(
    monkeypatch: pytest.MonkeyPatch, asked: str, cuda: bool, absent: tuple[str, ...], chosen: str
) -> None:
    machine(monkeypatch, cuda, absent)
    assert backends.choose(asked).name == chosen


@pytest.mark.parametrize(
    ("asked", "cuda", "absent", "told"),
    [
        ("unsloth", False, (), "KEYLIKE_BACKEND=unsloth needs an NVIDIA GPU"),
        ("unsloth", True, ("unsloth",), "unsloth is not installed.*locks/gpu.txt"),
        ("auto", False, ("torch", "peft"), "torch, peft not installed.*locks/gemma.txt"),
    ],
)
def test_why_not(
    monkeypatch: pytest.MonkeyPatch, asked: str, cuda: bool, absent: tuple[str, ...], told: str
) -> None:
    machine(monkeypatch, cuda, absent)
    with pytest.raises(ModelError, match=told):
        backends.choose(asked)


@pytest.mark.gemma
def test_this_machine_as_it_is() -> None:
    torch: Any = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert backends.choose("auto").name == "transformers"
    with pytest.raises(ModelError, match="PyTorch finds none here"):
        backends.choose("unsloth")
