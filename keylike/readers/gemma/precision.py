"""Choose the precision of Gemma's weights (32, 16 or 4 bits) by device and free memory."""

from __future__ import annotations

from dataclasses import dataclass

from keylike.errors import ModelError
from keylike.observability.free_memory import free_memory

# Memory of the model as a multiple of its weights: with activations, the key-value cache and the
# overhead of loading.
_OVERHEAD = 1.3
_BYTES = {"fp32": 4, "bf16": 2}
# Modules that are not stored in 4 bits. The vision and audio towers and their projections to the
# text model would lose the most accuracy. AltUp and LAuReL have only a few coefficients, and 4-bit
# products on CPUs need widths that are multiples of 64. Each pattern matches the start or the end
# of a module's full name.
NEVER_4_BIT = (
    r"model\.(vision_tower|audio_tower|embed_vision|embed_audio)",
    r"lm_head",
    r".*\.(altup|laurel)",
    r".*altup_(unembed_)?projections",
    "per_layer_input_gate",
    "per_layer_projection",
    "per_layer_model_projection",
)


@dataclass(frozen=True, slots=True)
class Device:
    """The device that runs the model.

    Attributes:
        name: PyTorch's name of the device.
        free: Free memory in bytes.
        bf16: True if it can compute in bfloat16.
    """

    name: str
    free: int
    bf16: bool


def find_device() -> Device:
    """Return the first CUDA GPU, or else Apple's GPU, or else the CPU."""
    import torch

    if torch.cuda.is_available():
        return Device(
            "cuda:0",
            torch.cuda.mem_get_info(0)[0],
            torch.cuda.is_bf16_supported(including_emulation=False),
        )
    free = free_memory() or 0
    if torch.backends.mps.is_available():
        return Device("mps", free, _mps_has_bf16())
    return Device("cpu", free, True)


def choose_precision(requested: str, device: Device, parameters: int) -> str:
    """Return "fp32", "bf16" or "nf4", by the device and its free memory.

    An NVIDIA GPU gets bf16 if it fits, or else nf4. Apple's GPU gets bf16. A GPU without bf16 gets
    fp32 instead of it, because Gemma's results are NaN in fp16. The CPU gets fp32 if it fits, or
    else bf16, which saves memory but no time there.

    Args:
        requested: Precision from the settings. Anything but "auto" is returned unchanged.
        device: Device that will run the model.
        parameters: Number of parameters of the model.

    Raises:
        ModelError: The model does not fit into the CPU's memory. Otherwise the system might kill
            the process, which could then not report the reason.
    """
    if requested != "auto":
        return requested
    if device.name == "cpu":
        for precision in ("fp32", "bf16"):
            if _fits(precision, device, parameters):
                return precision
        needed = _gigabytes(_OVERHEAD * _BYTES["bf16"] * parameters)
        raise ModelError(
            f"the model needs about {needed} of memory, but only {_gigabytes(device.free)} is "
            "free: KEYLIKE_PRECISION=nf4 needs a quarter"
        )
    best = "bf16" if device.bf16 else "fp32"
    if device.name == "mps":
        return best
    return best if _fits(best, device, parameters) else "nf4"


def stored_precision(requested: str, name: str) -> str:
    """Return "nf4", the precision of weights that are stored in 4 bits.

    Raises:
        ModelError: Another precision is requested.
    """
    if requested not in ("auto", "nf4"):
        raise ModelError(
            f"{name} is stored in 4 bits and cannot be converted back to {requested}: "
            "set KEYLIKE_PRECISION to auto"
        )
    return "nf4"


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


def _fits(precision: str, device: Device, parameters: int) -> bool:
    return _OVERHEAD * _BYTES[precision] * parameters <= device.free


def _mps_has_bf16() -> bool:
    import torch

    try:
        torch.ones(1, dtype=torch.bfloat16, device="mps").add_(1)
    except (RuntimeError, TypeError):
        return False
    return True
