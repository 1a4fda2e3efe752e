"""Default manifest for checkpoints without one, trained as the older guide describes."""

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
    """Return the manifest for a folder called `name` that has none.

    The text precedes the picture, the whole photo is squashed to 336 pixels, and there is no
    calibration. Depths are assumed to be the maker's. The guide trained on the makers' codes,
    although its prompt for serving called 1 the deepest.
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
    """Raise ModelError for the name of an untuned base model.

    A base model would fill the slots with codes that it never learned to read.
    """
    if _BASES.fullmatch(name):
        raise ModelError(
            f"{name} is a base model that was not trained to read keys: "
            "set KEYLIKE_BASE_MODEL to it, and MODEL_PATH to a checkpoint"
        )
