"""Check the JSON files of a Gemma folder: model type, storage, tokenizer and code references."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keylike.errors import ModelError
from keylike.readers.gemma.weights import adapter_file, model_files, read_json, refuse_pointer
from keylike.readers.model_files import display_name, printable

MODEL, ADAPTER = "config.json", "adapter_config.json"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
_PROCESSOR = ("processor_config.json", "preprocessor_config.json")
_TEMPLATE = ("chat_template.jinja", "chat_template.json")
_MORE_TEMPLATES = "additional_chat_templates"
# Accepted values of attn_implementation. transformers would load any other value as code, from the
# Hugging Face hub or its cache.
_ATTENTION = (None, "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
# Accepted class names of transformers, by setting. Other classes open files that were not checked.
_CLASSES = {
    "tokenizer_class": r"Gemma3?n?Tokenizer(Fast)?|PreTrainedTokenizerFast|TokenizersBackend",
    "processor_class": r"Gemma3nProcessor",
    "image_processor_type": r"Siglip\w*",
    "feature_extractor_type": r"Gemma3nAudioFeatureExtractor",
}
# Pattern of the name of a timm network, and beginnings of timm arguments that name a location.
_NETWORK = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)?")
_LOCATION_PREFIXES = ("pretrained", "checkpoint", "cache")
_CONFIGS = (MODEL, ADAPTER, "tokenizer_config.json", "generation_config.json", *_PROCESSOR)


def refuse_code(folder: Path) -> None:
    """Check that a folder contains no code, and that its configuration does not load any.

    Raises:
        ModelError: There is a Python file, or the configuration names code, unknown classes or
            further chat templates.
    """
    code = next(iter(sorted(folder.glob("*.py"))), None)
    if code is not None:
        raise ModelError(f"{display_name(code)}: code from a model folder is never run; remove it")
    if (folder / _MORE_TEMPLATES).exists():
        raise ModelError(
            f"{folder.name}/{_MORE_TEMPLATES}: a manifest cannot list files in subfolders; "
            "remove it"
        )
    for path in (folder / name for name in _CONFIGS):
        if os.path.lexists(path):
            _refuse_code_references(path, read_json(path))


def _refuse_code_references(path: Path, config: dict[str, Any]) -> None:
    for table in _tables(config):
        if table.get("auto_map") or table.get("trust_remote_code"):
            raise ModelError(
                f"{display_name(path)} requests its own code (auto_map or trust_remote_code), "
                "which is never run"
            )
        for name in ("attn_implementation", "_attn_implementation"):
            if table.get(name) not in _ATTENTION:
                raise ModelError(
                    f"{display_name(path)}: {name} names its own code, which is never run"
                )
        for name, known in _CLASSES.items():
            if table.get(name) is not None and not re.fullmatch(known, str(table[name])):
                raise ModelError(
                    f"{display_name(path)}: {name} is {printable(table[name])!r}, "
                    "which is not one of Gemma's classes"
                )


def _tables(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every object in the configuration, the outermost one first.

    It does not use recursion, because JSON can be nested deeper than Python's recursion limit.
    """
    pending: list[Any] = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield value
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def check_model(folder: Path) -> bool:
    """Check the configuration and the weights of a complete model.

    Returns:
        True if its weights are stored in 4 bits.

    Raises:
        ModelError: A check failed.
    """
    config = read_json(folder / MODEL)
    kind = config.get("model_type")
    if kind != "gemma3n":
        raise ModelError(
            f"{display_name(folder / MODEL)}: the model type is {printable(kind)!r}; "
            "only 'gemma3n' is supported"
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
            f"{display_name(folder / MODEL)}: "
            "the only supported quantisation is bitsandbytes' 4 bits"
        )
    return True


def _check_sources(path: Path, config: dict[str, Any]) -> None:
    """Check that the configuration makes transformers and timm open no other weights.

    Raises:
        ModelError: They would open weights that are not in the folder.
    """
    if config.get("transformers_weights") is not None:
        raise ModelError(
            f"{display_name(path)}: transformers_weights names weights outside the folder"
        )
    vision = config.get("vision_config")
    if not isinstance(vision, dict):
        return
    network, model_args = vision.get("architecture"), vision.get("model_args")
    if network is not None and not _NETWORK.fullmatch(str(network)):
        raise ModelError(
            f"{display_name(path)}: vision_config.architecture must be the name of a timm "
            "network, not a location"
        )
    if model_args is not None and not (
        isinstance(model_args, dict)
        and all(map(_is_safe_model_arg, model_args, model_args.values()))
    ):
        raise ModelError(
            f"{display_name(path)}: vision_config.model_args may only hold sizes of the network"
        )


def _is_safe_model_arg(name: str, value: object) -> bool:
    """Return True if timm cannot open a file or address through this model argument.

    timm uses arguments whose names begin with _LOCATION_PREFIXES, and text values, as locations.
    """
    return not name.startswith(_LOCATION_PREFIXES) and all(
        isinstance(item, int | float) for item in (value if isinstance(value, list) else [value])
    )


def check_adapter(folder: Path) -> dict[str, Any]:
    """Check the weights and the configuration of a LoRA adapter, and return its configuration.

    Raises:
        ModelError: A check failed.
    """
    adapter_file(folder)
    config = read_json(folder / ADAPTER)
    if config.get("peft_type") != "LORA":
        raise ModelError(
            f"{display_name(folder / ADAPTER)}: the adapter type is "
            f"{printable(config.get('peft_type'))!r}; "
            "only 'LORA' is supported"
        )
    # Both settings name modules that PEFT would import. auto_mapping is harmless if it names
    # classes of transformers.
    mapping = config.get("auto_mapping") or {}
    library = mapping.get("parent_library") if isinstance(mapping, dict) else mapping
    if (
        config.get("megatron_config")
        or str(library or "transformers").partition(".")[0] != "transformers"
    ):
        raise ModelError(
            f"{display_name(folder / ADAPTER)} names code outside transformers, which is never run"
        )
    return config


def tokenizer_folder(*folders: Path) -> Path:
    """Return the first folder with a complete tokenizer and processor.

    Raises:
        ModelError: No folder has both. The message names a file that the last folder lacks.
    """
    for folder in folders:
        if not _missing_file(folder):
            for name in _TOKENIZER:
                refuse_pointer(folder / name)
            return folder
    raise ModelError(
        f"{folders[-1].name} lacks {_missing_file(folders[-1])}: "
        "the tokenizer and processor must be next to the weights"
    )


def _missing_file(folder: Path) -> str | None:
    """Return the name of the first missing file of tokenizer and processor, or None.

    The chat template may also be part of the tokenizer's configuration.
    """
    for name in _TOKENIZER:
        if not (folder / name).exists():
            return name
    if not any((folder / name).exists() for name in _PROCESSOR):
        return _PROCESSOR[0]
    has_template = any(
        (folder / name).exists() for name in _TEMPLATE
    ) or "chat_template" in read_json(folder / _TOKENIZER[1])
    return None if has_template else _TEMPLATE[0]
