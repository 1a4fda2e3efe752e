"""Check the requirements of Gemma: PyTorch, a GPU, and the libraries that need a GPU."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Collection
from dataclasses import dataclass

from keylike.doctor.finding import Finding, State, format_bytes
from keylike.observability.gpu import Gpu
from keylike.resources import INSTALL_GEMMA

GPU_LIBRARIES = ("bitsandbytes", "unsloth")


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """The first NVIDIA GPU that PyTorch can use.

    Attributes:
        name: name of the GPU.
        free: bytes of free GPU memory.
        total: bytes of GPU memory.
        bf16: True if the GPU supports bfloat16 in hardware.
    """

    name: str
    free: int
    total: int
    bf16: bool


@dataclass(frozen=True, slots=True)
class Torch:
    """The installed PyTorch.

    Attributes:
        version: version of PyTorch.
        cuda: CUDA version of the build, or None.
        device: first NVIDIA GPU, or None.
        apple: True if Apple's GPU is available.
    """

    version: str
    cuda: str | None
    device: CudaDevice | None
    apple: bool


def installed(name: str) -> bool:
    """Return True if a library is installed, without importing it."""
    return importlib.util.find_spec(name) is not None


def find_torch() -> Torch | None:
    """Return the installed PyTorch, or None if it is not installed.

    Raises:
        ImportError: PyTorch is installed but cannot be imported.
    """
    if not installed("torch"):
        return None
    try:
        import torch
    # A missing CUDA library raises OSError, an incompatible one RuntimeError.
    except (OSError, RuntimeError) as error:
        raise ImportError(str(error)) from error
    # Suppress PyTorch's warning about an outdated driver, because this check reports it.
    with warnings.catch_warnings(action="ignore"):
        device = _first_device() if torch.cuda.is_available() else None
    return Torch(
        str(torch.__version__), torch.version.cuda, device, bool(torch.backends.mps.is_available())
    )


def pytorch(torch: Torch | None, *, broken: bool, wanted: bool) -> Finding:
    """Report the installed PyTorch.

    Args:
        torch: PyTorch, or None.
        broken: True if it cannot be imported.
        wanted: True if a Gemma model is to be served.
    """
    if broken:
        state = State.FAULT if wanted else State.WARN
        return Finding(
            "PyTorch",
            state,
            "installed, but cannot be imported",
            f"reinstall it: {INSTALL_GEMMA}",
        )
    if torch is None:
        return Finding(
            "PyTorch", State.NOTE, "not installed", f"only needed for Gemma: {INSTALL_GEMMA}"
        )
    return Finding(
        "PyTorch",
        State.OK,
        f"{torch.version}, built for {f'CUDA {torch.cuda}' if torch.cuda else 'the processor'}",
    )


def graphics(torch: Torch | None, nvidia: Gpu) -> Finding:
    """Check that a GPU can be used.

    Args:
        torch: PyTorch, or None.
        nvidia: the GPU that nvidia-smi reports.
    """
    if torch is not None and torch.device is not None:
        return _usable_device(torch.device)
    if torch is not None and nvidia.available:
        return _unusable_gpu(torch, nvidia)
    if torch is not None and torch.apple:
        return Finding("GPU", State.OK, "Apple GPU, through Metal")
    advice = "the embedded reader needs none; Gemma is slow without one"
    return Finding(
        "GPU", State.NOTE, "none found" if torch else "not checked without PyTorch", advice
    )


def gpu_libraries(present: Collection[str], *, device: bool, backend: str, wanted: bool) -> Finding:
    """Report which of GPU_LIBRARIES are installed.

    Args:
        present: names of the installed libraries.
        device: True if PyTorch can use an NVIDIA GPU.
        backend: value of KEYLIKE_BACKEND.
        wanted: True if a Gemma model is to be served.
    """
    name = "GPU libraries"
    saw = ", ".join(
        f"{each} {'installed' if each in present else 'not installed'}" for each in GPU_LIBRARIES
    )
    if wanted and backend == "unsloth" and not (device and "unsloth" in present):
        return Finding(
            name,
            State.FAULT,
            saw,
            "KEYLIKE_BACKEND=unsloth needs Unsloth and an NVIDIA GPU: leave it at auto",
        )
    if not device:
        return Finding(name, State.NOTE, saw, "only useful with an NVIDIA GPU")
    if "bitsandbytes" not in present:
        return Finding(
            name,
            State.WARN,
            saw,
            f"bitsandbytes is needed for weights in 4 bits: {INSTALL_GEMMA}",
        )
    advice = (
        ""
        if "unsloth" in present
        else "Unsloth is optional; transformers works without it (locks/gpu.txt)"
    )
    return Finding(name, State.OK if not advice else State.NOTE, saw, advice)


def _first_device() -> CudaDevice:
    import torch

    free, total = torch.cuda.mem_get_info(0)
    return CudaDevice(
        torch.cuda.get_device_name(0),
        free,
        total,
        torch.cuda.is_bf16_supported(including_emulation=False),
    )


def _usable_device(device: CudaDevice) -> Finding:
    saw = (
        f"{device.name}, {format_bytes(device.free)} of {format_bytes(device.total)} "
        f"free, {'bf16' if device.bf16 else 'no bf16'}"
    )
    if device.bf16:
        return Finding("GPU", State.OK, saw)
    return Finding(
        "GPU",
        State.NOTE,
        saw,
        "without bf16 Gemma's weights take twice the memory, or are stored in 4 bits",
    )


def _unusable_gpu(torch: Torch, nvidia: Gpu) -> Finding:
    if torch.cuda is None:
        saw = f"an NVIDIA GPU with {nvidia.memory_mb} MB, but PyTorch's CPU build"
        return Finding(
            "GPU",
            State.WARN,
            saw,
            "pip uninstall torch, then install its CUDA build as PyTorch's guide describes",
        )
    saw = f"an NVIDIA GPU with {nvidia.memory_mb} MB, which PyTorch cannot use"
    return Finding(
        "GPU",
        State.WARN,
        saw,
        f"update NVIDIA's driver to support CUDA {torch.cuda}, or check CUDA_VISIBLE_DEVICES",
    )
