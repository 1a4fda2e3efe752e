"""Select the library that runs Gemma, by name or by the available hardware."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Protocol

from keylike.errors import ModelError
from keylike.readers.gemma.folder import Checkpoint

_PACKAGES = ("torch", "torchvision", "timm", "transformers", "peft", "accelerate", "bitsandbytes")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A loaded model that is ready for inference.

    Attributes:
        model: Model in eval mode.
        processor: Tokenizer and image processor.
        device: "cpu", "mps" or "cuda:0".
        precision: "fp32", "bf16" or "nf4".
        backend: Name of the backend that loaded it.
    """

    model: Any = field(repr=False)
    processor: Any = field(repr=False)
    device: str
    precision: str
    backend: str


class Backend(Protocol):
    """A library that loads checkpoints. They were checked before."""

    @property
    def name(self) -> str:
        """Return the name used in settings."""

    def load(self, checkpoint: Checkpoint, precision: str) -> Loaded:
        """Return the model in eval mode with frozen parameters.

        Args:
            checkpoint: Checked checkpoint.
            precision: "auto", "bf16", "nf4" or "fp32".

        Raises:
            ModelError: The checkpoint cannot be loaded.
        """


def choose(backend: str) -> Backend:
    """Return the backend called `backend`.

    "auto" selects Unsloth if it is installed and there is a CUDA GPU, else transformers.

    Raises:
        ModelError: A package or the required GPU is missing.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"{', '.join(missing)} not installed: "
            "Gemma needs the packages of locks/gemma.txt (make serve-gemma)"
        )
    if backend == "unsloth" or (
        backend == "auto" and _has_cuda() and find_spec("unsloth") is not None
    ):
        return _unsloth()
    from keylike.readers.gemma.with_transformers import TransformersBackend

    return TransformersBackend()


def _unsloth() -> Backend:
    # `import unsloth` may succeed without a GPU and fail later while loading, so catching
    # ImportError is not enough.
    if not _has_cuda():
        raise ModelError(
            "KEYLIKE_BACKEND=unsloth needs an NVIDIA GPU, but PyTorch finds none: "
            "use auto or transformers"
        )
    if find_spec("unsloth") is None:
        raise ModelError(
            "unsloth is not installed: KEYLIKE_BACKEND=unsloth needs the packages of locks/gpu.txt"
        )
    from keylike.readers.gemma.with_unsloth import UnslothBackend

    return UnslothBackend()


def _has_cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())
