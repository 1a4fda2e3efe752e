"""Defaults for checkpoints without a manifest, which are taken to be trained as the older guide to this project says."""

from __future__ import annotations

import re
from typing import Literal

from readers.gemma.manifest import GemmaManifest, Picture, Prompt, ReplyShape

BASE = "unsloth/gemma-3n-E4B-it"
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
    """The manifest of a folder called `name` that has none: text before picture, the whole photo squashed to 336, no calibration."""
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
