"""How Gemma's weights are held: in 32, 16 or 4 bits, by what the machine can compute and what fits into its memory."""

from __future__ import annotations

from dataclasses import dataclass

from keylike.errors import ModelError
from keylike.observability.free_memory import free_memory

# Beyond the weights: the photos' activations, the cache of keys and values, and what loading takes on the way.
_SPARE = 1.3
_BYTES = {"fp32": 4, "bf16": 2}
# Held in full: the towers and what joins them to the text lose most; the coefficients of AltUp and LAuReL are a few numbers wide, and
# 4-bit products on CPUs want widths in multiples of 64. Each is matched from the start of a module's full name, or as its end.
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
    """Where the model will run: PyTorch's name for it, free memory in bytes, and whether it computes in bfloat16."""

    name: str
    free: int
    bf16: bool


def find_device() -> Device:
    """The first GPU, else Apple's, else the processor."""
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


def pick(asked: str, device: Device, parameters: int) -> str:
    """fp32, bf16 or nf4 for a model of so many `parameters`; `asked` unless it is "auto".

    On a GPU bf16 where it fits, else nf4; fp32 stands in for bf16 where that is missing, since fp16 gives NaNs with Gemma. On the
    processor, where bf16 saves memory alone, fp32 where it fits. Raises ModelError where nothing does: a process that the system ends
    for its memory could not say why.
    """
    if asked != "auto":
        return asked
    if device.name == "cpu":
        held = next((each for each in ("fp32", "bf16") if _fits(each, device, parameters)), None)
        if held is None:
            needed, free = (
                _gigabytes(each) for each in (_SPARE * _BYTES["bf16"] * parameters, device.free)
            )
            raise ModelError(
                f"the model needs about {needed} of memory, and {free} are free: KEYLIKE_PRECISION=nf4 needs a quarter"
            )
        return held
    best = "bf16" if device.bf16 else "fp32"
    if device.name == "mps":
        return best
    return best if _fits(best, device, parameters) else "nf4"


def of_stored(asked: str, name: str) -> str:
    """The precision of weights that are stored in 4 bits. Raises ModelError where another is asked for."""
    if asked not in ("auto", "nf4"):
        raise ModelError(
            f"{name} is stored in 4 bits, which cannot become {asked} again: leave KEYLIKE_PRECISION at auto"
        )
    return "nf4"


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


def _fits(precision: str, device: Device, parameters: int) -> bool:
    return _SPARE * _BYTES[precision] * parameters <= device.free


def _mps_has_bf16() -> bool:
    import torch

    try:
        torch.ones(1, dtype=torch.bfloat16, device="mps").add_(1)
    except (RuntimeError, TypeError):
        return False
    return True
