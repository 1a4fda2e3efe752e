"""Gemma folders for tests that pass all checks, but contain weights of zeros."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from keylike.readers.gemma.folder import OPENED
from keylike.readers.model_files import MANIFEST, sha256

BITS_4 = {"quant_method": "bitsandbytes", "load_in_4bit": True}
WEIGHT = "model.language_model.embed_tokens.weight"
LORA_WEIGHT = "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight"


def safetensors(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Write a valid safetensors file whose tensors have these shapes and are zero."""
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(end))


def write_json(path: Path, **values: object) -> None:
    """Set values of the JSON object in a file, which is created if necessary."""
    old = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**old, **values}))


def merged(folder: Path) -> Path:
    """Create the folder of a complete model."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(
        folder / "config.json",
        model_type="gemma3n",
        architectures=["Gemma3nForConditionalGeneration"],
    )
    safetensors(folder / "model.safetensors", {WEIGHT: (3, 4)})
    add_tokenizer(folder)
    return folder


def sharded(folder: Path) -> Path:
    """Create the folder of a complete model whose weights are in two files."""
    merged(folder)
    (folder / "model.safetensors").unlink()
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for number, name in enumerate(names):
        safetensors(folder / name, {f"w{number}": (2, 2)})
    write_json(folder / "model.safetensors.index.json", weight_map={"w0": names[0], "w1": names[1]})
    return folder


def lora(folder: Path, base: str | None = "base") -> Path:
    """Create the folder of a LoRA adapter without a tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "adapter_config.json", peft_type="LORA", r=8, base_model_name_or_path=base)
    safetensors(folder / "adapter_model.safetensors", {LORA_WEIGHT: (8, 4)})
    return folder


def add_tokenizer(folder: Path) -> None:
    """Add the files of a tokenizer, a processor and a chat template to a folder."""
    for name in ("tokenizer.json", "tokenizer_config.json", "processor_config.json"):
        write_json(folder / name)
    (folder / "chat_template.jinja").write_text("{{ messages }}")


def write_manifest(folder: Path, kind: str, base: str | None = None, leave_out: str = "") -> Path:
    """Write a manifest with the hashes of all files that are loaded, except `leave_out`."""
    files = [
        f'"{path.name}" = "{sha256(path)}"'
        for path in folder.iterdir()
        if path.suffix in OPENED and path.name != leave_out
    ]
    lines = [
        'name = "keys"',
        'version = "1.2.3"',
        f'kind = "{kind}"',
        'keyways = ["SC1"]',
        *([f'base = "{base}"'] if base else []),
    ]
    (folder / MANIFEST).write_text("\n".join([*lines, "[files]", *files]))
    return folder
