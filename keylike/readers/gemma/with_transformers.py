"""Runs Gemma with transformers, PEFT and bitsandbytes: on any GPU they know, or on the processor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keylike.errors import ModelError
from keylike.readers.gemma.adapter import attach
from keylike.readers.gemma.backends import Loaded
from keylike.readers.gemma.folder import Checkpoint
from keylike.readers.gemma.libraries import be_quiet, go_offline
from keylike.readers.gemma.precision import NEVER_4_BIT, Device, find_device, of_stored, pick
from keylike.readers.gemma.vision_ops import declare
from keylike.readers.gemma.weights import parameters


class TransformersBackend:
    """Loads from the folder alone: no network, no code out of the folder, no pickles; what is missing is an error."""

    name = "transformers"

    def load(self, checkpoint: Checkpoint, precision: str) -> Loaded:
        """The model, on the GPU where there is one. Raises ModelError."""
        prepare()
        device = find_device()
        held = settle(checkpoint, precision, device)
        model = _model(checkpoint, held, device)
        if checkpoint.base is not None:
            model = attach(model, checkpoint.folder, device.name)
        return Loaded(for_reading(model), processor(checkpoint.words), device.name, held, self.name)


def prepare() -> None:
    """What must come before the first import of transformers, and what silences it."""
    go_offline()
    declare()
    be_quiet()


def settle(checkpoint: Checkpoint, asked: str, device: Device) -> str:
    """The precision to load in."""
    whole = checkpoint.whole
    return (
        of_stored(asked, whole.name)
        if checkpoint.quantised
        else pick(asked, device, parameters(whole))
    )


def for_reading(model: Any) -> Any:
    """Nothing of it is trained any more."""
    return model.eval().requires_grad_(False)


def processor(folder: Path) -> Any:
    """Tokenizer and picture processor. Raises ModelError."""
    from transformers import Gemma3nProcessor

    try:
        return Gemma3nProcessor.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    # They raise whatever a broken file leads them to.
    except Exception as error:
        raise ModelError(
            f"the tokenizer and processor in {folder.name} cannot be loaded ({type(error).__name__})"
        ) from error


def check_complete(folder: Path, told: Mapping[str, Any]) -> None:
    """Looks at what transformers tells of loading. Raises ModelError for weights that are missing or of another size."""
    wrong = sorted({*told["missing_keys"], *(key for key, *_ in told["mismatched_keys"])})
    if wrong:
        raise ModelError(
            f"{folder.name} lacks {len(wrong)} of the model's weights, or has them in another size; the first is {wrong[0]}"
        )


def compute_type(held: str, device: Device) -> Any:
    """What is computed in."""
    import torch

    return torch.float32 if held == "fp32" or not device.bf16 else torch.bfloat16


def _model(checkpoint: Checkpoint, held: str, device: Device) -> Any:
    import torch
    from transformers import Gemma3nForConditionalGeneration

    folder = checkpoint.whole
    options: dict[str, Any] = {} if checkpoint.quantised else {"dtype": compute_type(held, device)}
    if held == "nf4" and not checkpoint.quantised:
        options["quantization_config"] = _four_bits(options["dtype"])
    if device.name != "cpu":
        options["device_map"] = {"": device.name}
    try:
        model, told = Gemma3nForConditionalGeneration.from_pretrained(
            str(folder),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            # Told rather than raised, so that the message can name the first.
            ignore_mismatched_sizes=True,
            **options,
        )
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelError(
            f"{folder.name} does not fit into memory as {held}: try KEYLIKE_PRECISION=nf4"
        ) from error
    # They raise whatever a broken file leads them to.
    except Exception as error:
        raise ModelError(f"{folder.name} cannot be loaded ({type(error).__name__})") from error
    check_complete(folder, told)
    return model


def _four_bits(computed_in: Any) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=computed_in,
        llm_int8_skip_modules=list(NEVER_4_BIT),
    )
