"""What the JSON files of a Gemma folder say: which model, stored how, with which tokenizer; and that they ask for no code."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keylike.errors import ModelError
from keylike.readers.gemma.weights import adapter_file, model_files, read_json, refuse_pointer
from keylike.readers.model_files import called, shown

MODEL, ADAPTER = "config.json", "adapter_config.json"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
_PROCESSOR = ("processor_config.json", "preprocessor_config.json")
_TEMPLATE = ("chat_template.jinja", "chat_template.json")
_MORE_TEMPLATES = "additional_chat_templates"
# Others are fetched from the hub, or looked for in what was, as a package of code.
_ATTENTION = (None, "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
# Other classes of transformers open other files, which nobody looked at.
_CLASSES = {
    "tokenizer_class": r"Gemma3?n?Tokenizer(Fast)?|PreTrainedTokenizerFast|TokenizersBackend",
    "processor_class": r"Gemma3nProcessor",
    "image_processor_type": r"Siglip\w*",
    "feature_extractor_type": r"Gemma3nAudioFeatureExtractor",
}
_NETWORK = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)?")
_OPENING = ("pretrained", "checkpoint", "cache")
_CONFIGS = (MODEL, ADAPTER, "tokenizer_config.json", "generation_config.json", *_PROCESSOR)


def refuse_code(folder: Path) -> None:
    """Raises ModelError where a folder holds Python, or its configuration asks that code, weights or words be brought in from elsewhere."""
    code = next(iter(sorted(folder.glob("*.py"))), None)
    if code is not None:
        raise ModelError(f"{called(code)}: code out of a model folder is never run; take it away")
    if (folder / _MORE_TEMPLATES).exists():
        raise ModelError(
            f"{folder.name}/{_MORE_TEMPLATES}: no manifest lists what lies in folders below; take it away"
        )
    for path in (folder / name for name in _CONFIGS):
        if os.path.lexists(path):
            _refuse_asking(path, read_json(path))


def _refuse_asking(path: Path, config: dict[str, Any]) -> None:
    for table in _tables(config):
        if table.get("auto_map") or table.get("trust_remote_code"):
            raise ModelError(
                f"{called(path)} asks for code of its own (auto_map or trust_remote_code), which is never run"
            )
        for name in ("attn_implementation", "_attn_implementation"):
            if table.get(name) not in _ATTENTION:
                raise ModelError(
                    f"{called(path)}: {name} names code of its own, which is never run"
                )
        for name, known in _CLASSES.items():
            if table.get(name) is not None and not re.fullmatch(known, str(table[name])):
                raise ModelError(
                    f"{called(path)}: {name} is {shown(table[name])!r}, which is none of Gemma's"
                )


def _tables(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every object in it, the whole one first; without recursion, since JSON may be nested deeper than Python calls."""
    left: list[Any] = [config]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            yield value
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)


def check_model(folder: Path) -> bool:
    """Checks a whole model's configuration and weights; whether they are stored in 4 bits. Raises ModelError."""
    config = read_json(folder / MODEL)
    kind = config.get("model_type")
    if kind != "gemma3n":
        raise ModelError(
            f"{called(folder / MODEL)}: the model's type is {shown(kind)!r}, and only 'gemma3n' is read here"
        )
    _check_sources(folder / MODEL, config)
    model_files(folder)
    stored = config.get("quantization_config")
    if stored is None:
        return False
    if (
        not isinstance(stored, dict)
        or stored.get("quant_method") != "bitsandbytes"
        or not stored.get("load_in_4bit")
    ):
        raise ModelError(
            f"{called(folder / MODEL)}: of weights stored in few bits, only bitsandbytes' 4-bit ones are read"
        )
    return True


def _check_sources(path: Path, config: dict[str, Any]) -> None:
    """Raises ModelError where transformers or timm would open other weights than the folder's listed ones."""
    if config.get("transformers_weights") is not None:
        raise ModelError(
            f"{called(path)}: transformers_weights names other weights than the folder's own"
        )
    vision = config.get("vision_config")
    if not isinstance(vision, dict):
        return
    network, changes = vision.get("architecture"), vision.get("model_args")
    if network is not None and not _NETWORK.fullmatch(str(network)):
        raise ModelError(
            f"{called(path)}: vision_config.architecture must be the name of one of timm's networks and no place"
        )
    if changes is not None and not (
        isinstance(changes, dict) and all(map(_shapes, changes, changes.values()))
    ):
        raise ModelError(
            f"{called(path)}: vision_config.model_args may hold nothing but sizes of the network"
        )


def _shapes(name: str, value: object) -> bool:
    """Whether timm could open nothing by it: it knows places by these names, and by text."""
    return not name.startswith(_OPENING) and all(
        isinstance(each, int | float) for each in (value if isinstance(value, list) else [value])
    )


def check_adapter(folder: Path) -> dict[str, Any]:
    """Checks a LoRA adapter's weights and configuration, which is returned. Raises ModelError."""
    adapter_file(folder)
    config = read_json(folder / ADAPTER)
    if config.get("peft_type") != "LORA":
        raise ModelError(
            f"{called(folder / ADAPTER)}: an adapter of type {shown(config.get('peft_type'))!r}, and only 'LORA' is read here"
        )
    # Both name modules that PEFT would import; the first is harmless where it names the library's own classes.
    mapping = config.get("auto_mapping") or {}
    library = mapping.get("parent_library") if isinstance(mapping, dict) else mapping
    if (
        config.get("megatron_config")
        or str(library or "transformers").partition(".")[0] != "transformers"
    ):
        raise ModelError(
            f"{called(folder / ADAPTER)} names code outside of transformers, which is never run"
        )
    return config


def words(*folders: Path) -> Path:
    """The first folder with a whole tokenizer and processor. Raises ModelError that says what the last one lacks."""
    for folder in folders:
        if not _lacking(folder):
            for name in _TOKENIZER:
                refuse_pointer(folder / name)
            return folder
    raise ModelError(
        f"{folders[-1].name} lacks {_lacking(folders[-1])}: the tokenizer and processor belong beside the weights"
    )


def _lacking(folder: Path) -> str | None:
    """The first file that is missing; a chat template may also stand in the tokenizer's configuration."""
    for name in _TOKENIZER:
        if not (folder / name).exists():
            return name
    if not any((folder / name).exists() for name in _PROCESSOR):
        return _PROCESSOR[0]
    has_template = any(
        (folder / name).exists() for name in _TEMPLATE
    ) or "chat_template" in read_json(folder / _TOKENIZER[1])
    return None if has_template else _TEMPLATE[0]
