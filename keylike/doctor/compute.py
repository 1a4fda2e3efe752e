"""Checks what Gemma computes with: PyTorch, a GPU, and the libraries that only serve beside one."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Collection
from dataclasses import dataclass

from keylike.doctor.finding import Finding, State, shown
from keylike.observability.gpu import Gpu

HELPERS = ("bitsandbytes", "unsloth")


@dataclass(frozen=True, slots=True)
class Card:
    """The first NVIDIA GPU as PyTorch sees it: memory in bytes, and whether it computes in bfloat16 by itself."""

    name: str
    free: int
    total: int
    bf16: bool


@dataclass(frozen=True, slots=True)
class Torch:
    """PyTorch as it is installed: the CUDA version it was built for (None: none), the first card, and whether Apple's GPU works."""

    version: str
    cuda: str | None
    card: Card | None
    apple: bool


def installed(name: str) -> bool:
    """Whether a library could be imported, without importing it."""
    return importlib.util.find_spec(name) is not None


def find_torch() -> Torch | None:
    """None where PyTorch is not installed. Raises ImportError where it is and cannot be imported."""
    if not installed("torch"):
        return None
    try:
        import torch
    # A library of CUDA that is missing is an OSError, one that does not fit a RuntimeError.
    except (OSError, RuntimeError) as error:
        raise ImportError(str(error)) from error
    # A driver that is too old is told as a warning; the check says it in its own words.
    with warnings.catch_warnings(action="ignore"):
        card = _first_card() if torch.cuda.is_available() else None
    return Torch(
        str(torch.__version__), torch.version.cuda, card, bool(torch.backends.mps.is_available())
    )


def pytorch(torch: Torch | None, *, broken: bool, wanted: bool) -> Finding:
    """Which PyTorch there is; `broken` where it cannot be imported, `wanted` where a Gemma model is to be served."""
    if broken:
        state = State.FAULT if wanted else State.WARN
        return Finding(
            "PyTorch",
            state,
            "installed, but it cannot be imported",
            "install it again: make serve-gemma",
        )
    if torch is None:
        return Finding(
            "PyTorch", State.NOTE, "not installed", "only needed for Gemma: make serve-gemma"
        )
    return Finding(
        "PyTorch",
        State.OK,
        f"{torch.version}, built for {f'CUDA {torch.cuda}' if torch.cuda else 'the processor'}",
    )


def graphics(torch: Torch | None, nvidia: Gpu) -> Finding:
    """Whether a GPU can be used; `nvidia` is what NVIDIA's own tool says."""
    if torch is not None and torch.card is not None:
        return _usable(torch.card)
    if torch is not None and nvidia.available:
        return _unused(torch, nvidia)
    if torch is not None and torch.apple:
        return Finding("GPU", State.OK, "Apple's, through Metal")
    advice = "the embedded reader needs none; Gemma is slow without"
    return Finding(
        "GPU", State.NOTE, "none found" if torch else "not looked for without PyTorch", advice
    )


def helpers(present: Collection[str], *, card: bool, backend: str, wanted: bool) -> Finding:
    """Which of HELPERS are `present`; `card`: PyTorch can use an NVIDIA GPU; `backend`: what KEYLIKE_BACKEND asks for."""
    name = "GPU libraries"
    saw = ", ".join(
        f"{each} {'installed' if each in present else 'not installed'}" for each in HELPERS
    )
    if wanted and backend == "unsloth" and not (card and "unsloth" in present):
        return Finding(
            name,
            State.FAULT,
            saw,
            "KEYLIKE_BACKEND=unsloth needs Unsloth and an NVIDIA GPU: leave it at auto",
        )
    if not card:
        return Finding(name, State.NOTE, saw, "of use beside an NVIDIA GPU only")
    if "bitsandbytes" not in present:
        return Finding(
            name,
            State.WARN,
            saw,
            "without bitsandbytes Gemma's weights cannot be held in 4 bits: make serve-gemma",
        )
    advice = (
        ""
        if "unsloth" in present
        else "Unsloth is optional, transformers does without: pip install -r locks/gpu.txt"
    )
    return Finding(name, State.OK if not advice else State.NOTE, saw, advice)


def _first_card() -> Card:
    import torch

    free, total = torch.cuda.mem_get_info(0)
    return Card(
        torch.cuda.get_device_name(0),
        free,
        total,
        torch.cuda.is_bf16_supported(including_emulation=False),
    )


def _usable(card: Card) -> Finding:
    saw = f"{card.name}, {shown(card.free)} of {shown(card.total)} free, {'bf16' if card.bf16 else 'no bf16'}"
    if card.bf16:
        return Finding("GPU", State.OK, saw)
    return Finding(
        "GPU",
        State.NOTE,
        saw,
        "without bf16 Gemma's weights take twice the memory, or are held in 4 bits",
    )


def _unused(torch: Torch, nvidia: Gpu) -> Finding:
    if torch.cuda is None:
        saw = f"an NVIDIA card of {nvidia.memory_mb} MB, but PyTorch's CPU build beside it"
        return Finding(
            "GPU",
            State.WARN,
            saw,
            "pip uninstall torch, then install its CUDA build as PyTorch's own guide says",
        )
    saw = f"an NVIDIA card of {nvidia.memory_mb} MB, which PyTorch cannot use"
    return Finding(
        "GPU",
        State.WARN,
        saw,
        f"update NVIDIA's driver to one for CUDA {torch.cuda}, or look at CUDA_VISIBLE_DEVICES",
    )
