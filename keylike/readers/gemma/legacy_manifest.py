"""The default manifest for checkpoints without one, as an earlier tutorial trained them.

The tutorial described a Keylike server with a fine-tuned Gemma; its checkpoints have no manifest.
"""

from __future__ import annotations

import re
from typing import Literal

from keylike.errors import ModelError
from keylike.readers.gemma.manifest import GemmaManifest, Picture, Prompt, ReplyShape

BASE = "unsloth/gemma-3n-E4B-it"
_BASES = re.compile(r"(?i)gemma-3n-E[24]B(-it)?([_-].*(4bit|GGUF).*)?")
KEYWAYS = ("SC1", "SC4", "KW1")
PROMPT = """You are an expert locksmith analyzing a key image. Look at this key and provide \
detailed analysis.

Respond in this EXACT format:

KEYWAY: [type]
BITTING: [pattern]
BRAND: [manufacturer]
CONFIDENCE: [0.XX]
PRODUCTION: [number]
COMPLEXITY: [score]

Analyze this key image:"""


def legacy_manifest(name: str, kind: Literal["gemma-lora", "gemma-merged"]) -> GemmaManifest:
    """Return a manifest for a folder called `name` that has none.

    The prompt's text precedes the picture, the whole photo is resized to a square of 336 pixels,
    and there is no calibration. The model's numbers are assumed to be the maker's depth numbers,
    because the tutorial trained on the makers' codes. (Its prompt for serving said that 1 is the
    deepest cut.)
    """
    safe_name = re.sub(r"[^A-Za-z0-9._-]", "-", name).lstrip("._-")[:64]
    return GemmaManifest(
        name=safe_name or "gemma",
        version="0",
        kind=kind,
        base=BASE if kind == "gemma-lora" else None,
        keyways=KEYWAYS,
        prompt=Prompt(text=PROMPT, image="last"),
        picture=Picture(crop="none", fit="squash", side=336),
        reply=ReplyShape(decoding="slots", template="KEYWAY: {keyway}\nBITTING: {bitting}"),
    )


def refuse_base_model(name: str) -> None:
    """Check that a folder without a manifest does not have the name of a base model.

    A base model was not trained to read keys, and would fill the slots with invented codes.

    Raises:
        ModelError: The name is that of a base model.
    """
    if _BASES.fullmatch(name):
        raise ModelError(
            f"{name} is a base model that was not trained to read keys: "
            "set KEYLIKE_BASE_MODEL to it, and MODEL_PATH to a checkpoint"
        )
