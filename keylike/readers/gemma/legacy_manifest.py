"""Defaults for checkpoints without a manifest, which are taken to be trained as the older guide to this project says."""

from __future__ import annotations

import re
from typing import Literal

from keylike.errors import ModelError
from keylike.readers.gemma.manifest import GemmaManifest, Picture, Prompt, ReplyShape

BASE = "unsloth/gemma-3n-E4B-it"
_BASES = re.compile(r"(?i)gemma-3n-E[24]B(-it)?([_-].*(4bit|GGUF).*)?")
KEYWAYS = ("SC1", "SC4", "KW1")
PROMPT = """You are an expert locksmith analyzing a key image. Look at this key and provide detailed analysis.

Respond in this EXACT format:

KEYWAY: [type]
BITTING: [pattern]
BRAND: [manufacturer]
CONFIDENCE: [0.XX]
PRODUCTION: [number]
COMPLEXITY: [score]

Analyze this key image:"""


def older_manifest(name: str, kind: Literal["gemma-lora", "gemma-merged"]) -> GemmaManifest:
    """The manifest of a folder called `name` that has none: text before picture, the whole photo squashed to 336, no calibration.

    Its depths are taken to be the maker's: that guide trained on the makers' codes, though its prompt for serving called 1 the deepest.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", name).lstrip("._-")[:64]
    return GemmaManifest(
        name=plain or "gemma",
        version="0",
        kind=kind,
        base=BASE if kind == "gemma-lora" else None,
        keyways=KEYWAYS,
        prompt=Prompt(text=PROMPT, image="last"),
        picture=Picture(crop="none", fit="squash", side=336),
        reply=ReplyShape(decoding="slots", template="KEYWAY: {keyway}\nBITTING: {bitting}"),
    )


def refuse_base(name: str) -> None:
    """Raises ModelError for a base model called as its publisher calls it: it would fill in slots for a key it never learnt to read."""
    if _BASES.fullmatch(name):
        raise ModelError(
            f"{name} is a base model, never taught to read keys: give it as KEYLIKE_BASE_MODEL, a checkpoint as MODEL_PATH"
        )
