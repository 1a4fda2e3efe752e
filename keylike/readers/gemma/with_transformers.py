"""A backend that runs Gemma with transformers, PEFT and bitsandbytes, on a GPU or the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keylike.errors import ModelError
from keylike.readers.gemma.adapter import attach
from keylike.readers.gemma.backends import Loaded
from keylike.readers.gemma.folder import Checkpoint
from keylike.readers.gemma.libraries import go_offline, silence
from keylike.readers.gemma.precision import (
    NEVER_4_BIT,
    Device,
    choose_precision,
    find_device,
    stored_precision,
)
from keylike.readers.gemma.vision_ops import declare_operators
from keylike.readers.gemma.weights import parameters


class TransformersBackend:
    """A backend that loads from the folder only. It uses no network, no code and no pickles."""

    name = "transformers"

    def load(self, checkpoint: Checkpoint, precision: str) -> Loaded:
        """Return the model, on a GPU if there is one.

        Raises:
            ModelError: The model is incomplete, damaged or too large.
        """
        prepare()
        device = find_device()
        chosen = resolve_precision(checkpoint, precision, device)
        model = _load_model(checkpoint, chosen, device)
        if checkpoint.base is not None:
            model = attach(model, checkpoint.folder, device.name)
        processor = load_processor(checkpoint.tokenizer_folder)
        return Loaded(freeze(model), processor, device.name, chosen, self.name)


def prepare() -> None:
    """Apply settings that must be made before transformers is first imported."""
    go_offline()
    declare_operators()
    silence()


def resolve_precision(checkpoint: Checkpoint, requested: str, device: Device) -> str:
    """Return the precision to load the checkpoint in."""
    weights_folder = checkpoint.weights_folder
    return (
        stored_precision(requested, weights_folder.name)
        if checkpoint.quantised
        else choose_precision(requested, device, parameters(weights_folder))
    )


def freeze(model: Any) -> Any:
    """Return the model in eval mode without trainable parameters."""
    return model.eval().requires_grad_(False)


def load_processor(folder: Path) -> Any:
    """Load the tokenizer and the image processor.

    Raises:
        ModelError: They are damaged.
    """
    from transformers import Gemma3nProcessor

    try:
        return Gemma3nProcessor.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    # transformers raises many kinds of errors for a damaged file.
    except Exception as error:
        raise ModelError(
            f"the tokenizer and processor in {folder.name} cannot be loaded "
            f"({type(error).__name__})"
        ) from error


def check_complete(folder: Path, loading_info: Mapping[str, Any]) -> None:
    """Check what transformers reports about the loaded weights.

    Raises:
        ModelError: Weights are missing or have another size.
    """
    wrong = sorted(
        {*loading_info["missing_keys"], *(key for key, *_ in loading_info["mismatched_keys"])}
    )
    if wrong:
        raise ModelError(
            f"{folder.name} lacks {len(wrong)} of the model's weights or has them in another size; "
            f"the first is {wrong[0]}"
        )


def compute_type(precision: str, device: Device) -> Any:
    """Return the PyTorch type used for computation."""
    import torch

    return torch.float32 if precision == "fp32" or not device.bf16 else torch.bfloat16


def _load_model(checkpoint: Checkpoint, precision: str, device: Device) -> Any:
    import torch
    from transformers import Gemma3nForConditionalGeneration

    folder = checkpoint.weights_folder
    options: dict[str, Any] = (
        {} if checkpoint.quantised else {"dtype": compute_type(precision, device)}
    )
    if precision == "nf4" and not checkpoint.quantised:
        options["quantization_config"] = _four_bits(options["dtype"])
    if device.name != "cpu":
        options["device_map"] = {"": device.name}
    try:
        model, loading_info = Gemma3nForConditionalGeneration.from_pretrained(
            str(folder),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            # Wrong sizes are then reported in loading_info, and our error can name the weight.
            ignore_mismatched_sizes=True,
            **options,
        )
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelError(
            f"{folder.name} does not fit into memory as {precision}: try KEYLIKE_PRECISION=nf4"
        ) from error
    # transformers raises many kinds of errors for a damaged file.
    except Exception as error:
        raise ModelError(f"{folder.name} cannot be loaded ({type(error).__name__})") from error
    check_complete(folder, loading_info)
    return model


def _four_bits(dtype: Any) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=list(NEVER_4_BIT),
    )
