"""Attach a LoRA adapter to its base model and verify that every tensor was loaded.

PEFT only warns about adapter tensors that do not fit the base model.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keylike.errors import ModelError
from keylike.readers.gemma.weights import adapter_file, tensors
from keylike.readers.model_files import display_name

# Pattern of the key and value projections of a layer, in the name of an adapter's tensor.
_SHARED = re.compile(r"\.language_model\.layers\.(\d+)\.self_attn\.[kv]_proj\.")


def attach(model: Any, adapter: Path, device: str) -> Any:
    """Return `model` with the adapter attached for inference.

    Raises:
        ModelError: The adapter does not fit the model.
    """
    from peft import PeftModel, get_peft_model_state_dict

    try:
        with warnings.catch_warnings():
            # PEFT's warning is not needed, because _compare below checks every tensor.
            warnings.filterwarnings(
                "ignore", message="Found missing adapter keys", category=UserWarning
            )
            adapted = PeftModel.from_pretrained(
                model, str(adapter), is_trainable=False, torch_device=device
            )
    except (ValueError, RuntimeError, TypeError, KeyError) as error:
        raise ModelError(
            f"the adapter in {adapter.name} does not fit its base model: {_reason(error)}"
        ) from error
    loaded = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    text = model.config.get_text_config()
    _compare(
        adapter_file(adapter),
        {name: tuple(tensor.shape) for name, tensor in loaded.items()},
        first_shared=text.num_hidden_layers - text.num_kv_shared_layers,
    )
    return adapted


def _compare(path: Path, loaded: Mapping[str, tuple[int, ...]], first_shared: int) -> None:
    """Compare the tensors in an adapter's file with the tensors that the model has loaded.

    Raises:
        ModelError: They differ in name or shape.
    """
    stored = {
        name: tensor.shape
        for name, tensor in tensors(path).items()
        if not _is_shared_projection(name, first_shared)
    }
    mismatched = sorted(
        name for name in stored.keys() | loaded.keys() if stored.get(name) != loaded.get(name)
    )
    if mismatched:
        matching = len(stored.items() & loaded.items())
        raise ModelError(
            f"{display_name(path)} does not fit its base model: it holds {len(stored)} tensors, "
            f"the model expects {len(loaded)}, and only {matching} agree in name and shape; "
            f"the first mismatch is {mismatched[0]}"
        )


def _is_shared_projection(name: str, first_shared: int) -> bool:
    """Return True for a projection of a layer that uses the keys and values of an earlier layer.

    Older versions of transformers had such projections and trained adapters for them. Current
    versions do not have them, so they are not compared.
    """
    found = _SHARED.search(name)
    return found is not None and int(found[1]) >= first_shared


def _reason(error: Exception) -> str:
    text = str(error)
    if "size mismatch" in text:
        return "their sizes differ; is the base the one it was trained on?"
    if "Target modules" in text:
        return "the layers that it changes are not there; is the base the one it was trained on?"
    return f"PEFT raised {type(error).__name__}"
