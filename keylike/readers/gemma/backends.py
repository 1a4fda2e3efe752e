"""What can run Gemma, and which of them does: one Protocol, chosen by name or by what this machine has."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Protocol

from keylike.errors import ModelError
from keylike.readers.gemma.folder import Checkpoint

_NEEDED = ("torch", "torchvision", "timm", "transformers", "peft", "accelerate", "bitsandbytes")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to be asked, and how it is held: `device` "cpu", "mps" or "cuda:0"; `precision` "fp32", "bf16" or "nf4"."""

    model: Any = field(repr=False)
    processor: Any = field(repr=False)
    device: str
    precision: str
    backend: str


class Backend(Protocol):
    """Loads a checkpoint that was looked at and found good."""

    @property
    def name(self) -> str:
        """How it is called in settings."""

    def load(self, checkpoint: Checkpoint, precision: str) -> Loaded:
        """The model in eval mode, nothing of it trainable. `precision`: auto, bf16, nf4 or fp32. Raises ModelError."""


def choose(backend: str) -> Backend:
    """The backend of that name; "auto" is Unsloth where there is a CUDA GPU and Unsloth is installed. Raises ModelError."""
    absent = [name for name in _NEEDED if find_spec(name) is None]
    if absent:
        raise ModelError(
            f"{', '.join(absent)} not installed: Gemma needs the packages of locks/gemma.txt (make serve-gemma)"
        )
    if backend == "unsloth" or (backend == "auto" and _cuda() and find_spec("unsloth") is not None):
        return _unsloth()
    from keylike.readers.gemma.with_transformers import TransformersBackend

    return TransformersBackend()


def _unsloth() -> Backend:
    # `import unsloth` may succeed on a machine without a GPU and then fails while loading: its ImportError is no gate.
    if not _cuda():
        raise ModelError(
            "KEYLIKE_BACKEND=unsloth needs an NVIDIA GPU, and PyTorch finds none here: use auto or transformers"
        )
    if find_spec("unsloth") is None:
        raise ModelError(
            "unsloth is not installed: KEYLIKE_BACKEND=unsloth needs the packages of locks/gpu.txt"
        )
    from keylike.readers.gemma.with_unsloth import UnslothBackend

    return UnslothBackend()


def _cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())
