"""Runs Gemma with Unsloth, on NVIDIA GPUs alone; it replaces parts of transformers and PEFT as it is imported."""

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
from keylike.readers.gemma.vision_ops import declare
from keylike.readers.gemma.with_transformers import (
    check_complete,
    compute_type,
    for_reading,
    prepare,
    processor,
    settle,
)

# Room for the prompt, a picture of 256 tokens and the reply.
_LONGEST = 4096


class UnslothBackend:
    """Loads a base or a merged folder by Unsloth; an adapter is put on as everywhere else, so that it is checked the same way."""

    name = "unsloth"

    def load(self, checkpoint: Checkpoint, precision: str) -> Loaded:
        """The model on the first GPU. Raises ModelError."""
        fast = bring_in()
        prepare()
        device = find_device()
        held = settle(checkpoint, precision, device)
        # Unsloth greets on standard output, which belongs to whoever asked the command line for JSON.
        with contextlib.redirect_stdout(sys.stderr):
            model = _model(fast, checkpoint, held, device)
            if checkpoint.base is not None:
                model = attach(model, checkpoint.folder, device.name)
            fast.for_inference(model)
        return Loaded(for_reading(model), processor(checkpoint.words), device.name, held, self.name)


def bring_in() -> Any:
    """Unsloth's class of vision models. Raises ModelError where it comes too late to replace what it replaces."""
    if "unsloth" not in sys.modules and not sys.modules.keys().isdisjoint(
        ("transformers", "peft", "trl")
    ):
        raise ModelError(
            "Unsloth must be imported before transformers and PEFT, and this process has them already"
        )
    go_offline()
    declare()
    # Unsloth writes Python files and imports them: not from the working directory, where others might put theirs.
    if "UNSLOTH_COMPILE_LOCATION" not in os.environ:
        os.environ["UNSLOTH_COMPILE_LOCATION"] = tempfile.mkdtemp(prefix="keylike-unsloth-")
    try:
        with contextlib.redirect_stdout(sys.stderr):
            from unsloth import FastVisionModel
    # Its own checks of the machine raise errors of many kinds.
    except Exception as error:
        raise ModelError(
            f"Unsloth cannot be imported ({type(error).__name__}): try KEYLIKE_BACKEND=transformers"
        ) from error
    return FastVisionModel


def _model(fast: Any, checkpoint: Checkpoint, held: str, device: Device) -> Any:
    import torch

    folder = checkpoint.whole
    try:
        if not checkpoint.quantised:
            check_weights(folder)
        model, _ = fast.from_pretrained(
            str(folder),
            max_seq_length=_LONGEST,
            dtype=compute_type(held, device),
            load_in_4bit=held == "nf4",
            # Or a known name is exchanged for Unsloth's own 4-bit repository.
            use_exact_model_name=True,
            use_gradient_checkpointing=False,
            local_files_only=True,
            trust_remote_code=False,
        )
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelError(
            f"{folder.name} does not fit into memory as {held}: try KEYLIKE_PRECISION=nf4"
        ) from error
    except ModelError:
        raise
    # They raise whatever a broken file leads them to.
    except Exception as error:
        raise ModelError(
            f"Unsloth cannot load {folder.name} ({type(error).__name__}): try KEYLIKE_BACKEND=transformers"
        ) from error
    return model


def check_weights(folder: Path) -> None:
    """Unsloth does not tell which weights were missing: the folder is held against the model's shapes first, nothing being read."""
    from transformers import Gemma3nForConditionalGeneration

    _, told = Gemma3nForConditionalGeneration.from_pretrained(
        str(folder), local_files_only=True, use_safetensors=True, output_loading_info=True, ignore_mismatched_sizes=True,
        device_map={"": "meta"},
    )  # fmt: skip
    check_complete(folder, told)
