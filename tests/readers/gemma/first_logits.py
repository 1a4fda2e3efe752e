"""Functions that load a model and return its first logits, to compare models quickly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keylike.readers.gemma.backends import Loaded
from keylike.readers.gemma.folder import inspect
from keylike.readers.gemma.manifest import Prompt
from keylike.readers.gemma.prompt import prompt_inputs


def load(folder: Path, precision: str = "fp32", base_model: Path | None = None) -> Loaded:
    """Check a folder as the reader does, and load it with transformers."""
    from keylike.readers.gemma.with_transformers import TransformersBackend

    return TransformersBackend().load(
        inspect(folder, base_model=base_model, models=None), precision
    )


def logits(loaded: Loaded) -> Any:
    """Return the logits of the first token of the reply for two pictures of noise.

    Their shape is (2, size of the vocabulary).
    """
    import torch

    side = loaded.processor.image_processor.size["height"]
    noise = np.random.default_rng(0).integers(0, 255, (2, side, side, 3), dtype=np.uint8)
    inputs = prompt_inputs(
        loaded.processor, Prompt(), [Image.fromarray(pixels) for pixels in noise]
    ).to(loaded.device)
    inputs["pixel_values"] = inputs["pixel_values"].to(loaded.model.dtype)
    with torch.inference_mode():
        return loaded.model(**inputs).logits[:, -1].float()
