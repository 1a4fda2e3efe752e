"""Puts a LoRA adapter onto its base, and makes sure that all of it went there: PEFT only warns of what does not fit."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keylike.errors import ModelError
from keylike.readers.gemma.weights import adapter_file, tensors
from keylike.readers.model_files import called

_SHARED = re.compile(r"\.language_model\.layers\.(\d+)\.self_attn\.[kv]_proj\.")


def attach(model: Any, adapter: Path, device: str) -> Any:
    """The model with the adapter, for inference. Raises ModelError where the adapter was made for another model."""
    from peft import PeftModel, get_peft_model_state_dict

    try:
        with warnings.catch_warnings():
            # Looked at below, all of them.
            warnings.filterwarnings(
                "ignore", message="Found missing adapter keys", category=UserWarning
            )
            adapted = PeftModel.from_pretrained(
                model, str(adapter), is_trainable=False, torch_device=device
            )
    except (ValueError, RuntimeError, TypeError, KeyError) as error:
        raise ModelError(
            f"the adapter in {adapter.name} does not fit its base model: {_why(error)}"
        ) from error
    taken = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    text = model.config.get_text_config()
    _compare(
        adapter_file(adapter),
        {name: tuple(tensor.shape) for name, tensor in taken.items()},
        first_shared=text.num_hidden_layers - text.num_kv_shared_layers,
    )
    return adapted


def _compare(path: Path, taken: Mapping[str, tuple[int, ...]], first_shared: int) -> None:
    """Raises ModelError unless the file holds what the model took up, no more and no less."""
    held = {
        name: tensor.shape
        for name, tensor in tensors(path).items()
        if not _idle(name, first_shared)
    }
    unlike = sorted(
        name for name in held.keys() | taken.keys() if held.get(name) != taken.get(name)
    )
    if unlike:
        alike = len(held.items() & taken.items())
        raise ModelError(
            f"{called(path)} does not fit its base model: it holds {len(held)} tensors, the model takes {len(taken)}, and only {alike} "
            f"agree in name and shape; the first that does not is {unlike[0]}"
        )


def _idle(name: str, first_shared: int) -> bool:
    """Whether it belongs to a projection of a layer that takes keys and values from an earlier one: older versions of transformers
    kept those projections and trained along adapters for them, current ones have none."""
    found = _SHARED.search(name)
    return found is not None and int(found[1]) >= first_shared


def _why(error: Exception) -> str:
    text = str(error)
    if "size mismatch" in text:
        return "their sizes differ; is the base the one it was trained on?"
    if "Target modules" in text:
        return "the layers that it changes are not there; is the base the one it was trained on?"
    return f"PEFT raised {type(error).__name__}"
