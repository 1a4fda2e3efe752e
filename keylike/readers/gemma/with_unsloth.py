"""A backend that runs Gemma with Unsloth, on NVIDIA GPUs only.

Unsloth patches transformers and PEFT when it is imported.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from keylike.errors import ModelError
from keylike.readers.gemma.adapter import attach
from keylike.readers.gemma.backends import Loaded
from keylike.readers.gemma.folder import Checkpoint
from keylike.readers.gemma.libraries import go_offline
from keylike.readers.gemma.precision import Device, find_device
from keylike.readers.gemma.vision_ops import declare_operators
from keylike.readers.gemma.with_transformers import (
    check_complete,
    compute_type,
    freeze,
    load_processor,
    prepare,
    resolve_precision,
)

# Largest number of tokens of the prompt, the picture (256) and the reply together.
_MAX_TOKENS = 4096


class UnslothBackend:
    """A backend that loads complete models with Unsloth.

    An adapter is attached with PEFT as in the other backend, so that it is checked in the same way.
    """

    name = "unsloth"

    def load(self, checkpoint: Checkpoint, precision: str) -> Loaded:
        """Return the model on the first GPU.

        Raises:
            ModelError: The model is incomplete, damaged or too large.
        """
        fast = import_unsloth()
        prepare()
        device = find_device()
        chosen = resolve_precision(checkpoint, precision, device)
        # Unsloth prints a banner to stdout. It goes to stderr, because some commands print JSON to
        # stdout.
        with contextlib.redirect_stdout(sys.stderr):
            model = _load_model(fast, checkpoint, chosen, device)
            if checkpoint.base is not None:
                model = attach(model, checkpoint.folder, device.name)
            fast.for_inference(model)
        processor = load_processor(checkpoint.tokenizer_folder)
        return Loaded(freeze(model), processor, device.name, chosen, self.name)


def import_unsloth() -> Any:
    """Return Unsloth's class for vision models.

    Raises:
        ModelError: Unsloth cannot be imported, or other libraries were imported before it.
    """
    if "unsloth" not in sys.modules and not sys.modules.keys().isdisjoint(
        ("transformers", "peft", "trl")
    ):
        raise ModelError(
            "Unsloth must be imported before transformers and PEFT, "
            "but this process has already imported them"
        )
    go_offline()
    declare_operators()
    # Unsloth writes Python files and imports them, by default in the working directory, where other
    # users might place files with the same names.
    if "UNSLOTH_COMPILE_LOCATION" not in os.environ:
        os.environ["UNSLOTH_COMPILE_LOCATION"] = tempfile.mkdtemp(prefix="keylike-unsloth-")
    try:
        with contextlib.redirect_stdout(sys.stderr):
            from unsloth import FastVisionModel
    # Unsloth's own hardware checks raise many kinds of errors.
    except Exception as error:
        raise ModelError(
            f"Unsloth cannot be imported ({type(error).__name__}): try KEYLIKE_BACKEND=transformers"
        ) from error
    return FastVisionModel


def _load_model(fast: Any, checkpoint: Checkpoint, precision: str, device: Device) -> Any:
    import torch

    folder = checkpoint.weights_folder
    try:
        if not checkpoint.quantised:
            check_weights(folder)
        model, _ = fast.from_pretrained(
            str(folder),
            max_seq_length=_MAX_TOKENS,
            dtype=compute_type(precision, device),
            load_in_4bit=precision == "nf4",
            # Otherwise Unsloth would load its own 4-bit repository in place of a model that it
            # knows.
            use_exact_model_name=True,
            use_gradient_checkpointing=False,
            local_files_only=True,
            trust_remote_code=False,
        )
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelError(
            f"{folder.name} does not fit into memory as {precision}: try KEYLIKE_PRECISION=nf4"
        ) from error
    except ModelError:
        raise
    # Unsloth raises many kinds of errors for a damaged file.
    except Exception as error:
        raise ModelError(
            f"Unsloth cannot load {folder.name} ({type(error).__name__}): try "
            "KEYLIKE_BACKEND=transformers"
        ) from error
    return model


def check_weights(folder: Path) -> None:
    """Compare the weights in a folder with the shapes of the model, without reading the weights.

    This is needed because Unsloth does not report missing weights.

    Raises:
        ModelError: Weights are missing or have another size.
    """
    from transformers import Gemma3nForConditionalGeneration

    _, loading_info = Gemma3nForConditionalGeneration.from_pretrained(
        str(folder),
        local_files_only=True,
        use_safetensors=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        device_map={"": "meta"},
    )
    check_complete(folder, loading_info)
