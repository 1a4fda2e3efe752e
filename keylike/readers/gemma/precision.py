"""Choose the precision of Gemma's weights (32, 16 or 4 bits) by device and free memory."""

from __future__ import annotations

from dataclasses import dataclass

from keylike.errors import ModelError
from keylike.observability.free_memory import free_memory

# Factor for activations, the key-value cache and the overhead of loading.
_OVERHEAD = 1.3
_BYTES = {"fp32": 4, "bf16": 2}
# Modules kept at full precision. In four bits, the towers and their projections to the text would lose the most accuracy.
# AltUp and LAuReL have only a few coefficients, and 4-bit products on CPUs need widths in multiples
# of 64. Each pattern matches the start of a module's full name, or its end.
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
    """Device that runs the model.

    Attributes:
        name: PyTorch's name of the device.
        free: Free memory in bytes.
        bf16: True if it computes in bfloat16.
    """

    name: str
    free: int
    bf16: bool


def find_device() -> Device:
    """Return the first CUDA GPU, else Apple's GPU, else the CPU."""
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
    """Return "fp32", "bf16" or "nf4" for a model of `parameters` numbers.

    A GPU gets bf16 if it fits, else nf4. If bf16 is missing, fp32 replaces it, since fp16 gives
    NaNs with Gemma. The CPU gets fp32 if it fits, else bf16, which only saves memory there.

    Args:
        requested: Precision from the settings; anything but "auto" is returned unchanged.
        device: Device that will run the model.
        parameters: Number of parameters.

    Raises:
        ModelError: No precision fits into the CPU's memory. A process killed for its memory use
            could not report the reason.
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
    """Return the precision of weights that are stored in 4 bits.

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
