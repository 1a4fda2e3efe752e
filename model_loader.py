"""Model loading under the names of the older guide."""

from __future__ import annotations

import gc
import logging
import sys
from pathlib import Path
from typing import Any

from keylike.configuration import chosen_reader
from keylike.observability.malloc_tuning import release_free_memory
from keylike.readers.loading import why
from keylike.settings import SettingsError, load_settings

_log = logging.getLogger("keylike")


def load_model_optimized(model_path: str | Path) -> tuple[Any, Any]:
    """Load and warm the model in a folder, or log why that failed and return (None, None).

    The guide falls back to an untrained base model, which would invent codes. This function does
    not: a folder that holds no trained model is a failure. The base of a LoRA adapter, the backend
    and the precision come from the settings (KEYLIKE_BASE_MODEL, ...), as for the server.

    Returns:
        The reader that `inference_handler.gemma3n_inference` takes as `model`, and its processor,
        which holds the tokenizer. The embedded reader has no processor, so the second value is then
        None.
    """
    try:
        settings = load_settings().model_copy(update={"model_path": Path(model_path)})
        reader = chosen_reader(settings)
        reader.warm()
    except SettingsError as error:
        _log.error("%s was not loaded: %s", Path(model_path).name, error)
        return None, None
    except Exception as error:  # libraries raise almost anything for a damaged folder
        _log.error("%s was not loaded: %s", Path(model_path).name, why(error))
        return None, None
    return reader, getattr(reader, "processor", None)


def optimize_memory() -> None:
    """Return unused memory to the system, and unused GPU memory to the driver."""
    gc.collect()
    release_free_memory()
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
