"""Model loading, under function names of the older guide.

The older guide is an earlier tutorial for a Keylike server. This module keeps its function names,
so that code written for it still runs.
"""

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
    """Load and warm up the model in a folder.

    If that fails, the reason is logged. The guide then loads an untrained base model, which would
    invent codes; this function does not. The base model of a LoRA adapter, the backend and the
    precision come from the settings, such as KEYLIKE_BASE_MODEL.

    Returns:
        The reader, which is the argument `model` of `inference_handler.gemma3n_inference`, and its
        processor, which contains the tokenizer. The processor is None for the embedded reader. Both
        are None if the model cannot be loaded.
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
    """Return unused memory to the system, and unused GPU memory to the GPU driver."""
    gc.collect()
    release_free_memory()
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
