"""What the JSON files of a Gemma folder say: which model, stored how, with which tokenizer; and that they ask for no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from readers.gemma.weights import adapter_file, model_files, read_json, refuse_pointer
from utils.errors import ModelError
from utils.model_files import called

MODEL, ADAPTER = "config.json", "adapter_config.json"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
_PROCESSOR = ("processor_config.json", "preprocessor_config.json")
_TEMPLATE = ("chat_template.jinja", "chat_template.json")
_CONFIGS = (MODEL, ADAPTER, "tokenizer_config.json", "generation_config.json", *_PROCESSOR)


def refuse_code(folder: Path) -> None:
    """Raises ModelError where a folder holds Python, or its configuration asks that Python be fetched and run."""
    code = next(iter(sorted(folder.glob("*.py"))), None)
    if code is not None:
        raise ModelError(f"{called(code)}: code out of a model folder is never run; take it away")
    for path in (folder / name for name in _CONFIGS):
        if path.exists() and _asks_for_code(read_json(path)):
            raise ModelError(f"{called(path)} asks for code of its own (auto_map or trust_remote_code), which is never run")


def _asks_for_code(value: object) -> bool:
    if isinstance(value, dict):
        return bool(value.get("auto_map") or value.get("trust_remote_code")) or any(map(_asks_for_code, value.values()))
    return isinstance(value, list) and any(map(_asks_for_code, value))


def check_model(folder: Path) -> bool:
    """Checks a whole model's configuration and weights; whether they are stored in 4 bits. Raises ModelError."""
    config = read_json(folder / MODEL)
    kind = config.get("model_type")
    if kind != "gemma3n":
        raise ModelError(f"{called(folder / MODEL)}: the model's type is {kind!r}, and only 'gemma3n' is read here")
    model_files(folder)
    stored = config.get("quantization_config")
    if stored is None:
        return False
    if not isinstance(stored, dict) or stored.get("quant_method") != "bitsandbytes" or not stored.get("load_in_4bit"):
        raise ModelError(f"{called(folder / MODEL)}: of weights stored in few bits, only bitsandbytes' 4-bit ones are read")
    return True


def check_adapter(folder: Path) -> dict[str, Any]:
    """Checks a LoRA adapter's weights and configuration, which is returned. Raises ModelError."""
    adapter_file(folder)
    config = read_json(folder / ADAPTER)
    if config.get("peft_type") != "LORA":
        raise ModelError(f"{called(folder / ADAPTER)}: an adapter of type {config.get('peft_type')!r}, and only 'LORA' is read here")
    # Both name modules that PEFT would import; the first is harmless where it names the library's own classes.
    mapping = config.get("auto_mapping") or {}
    library = mapping.get("parent_library") if isinstance(mapping, dict) else mapping
    if config.get("megatron_config") or str(library or "transformers").partition(".")[0] != "transformers":
        raise ModelError(f"{called(folder / ADAPTER)} names code outside of transformers, which is never run")
    return config


def words(*folders: Path) -> Path:
    """The first folder with a whole tokenizer and processor. Raises ModelError that says what the last one lacks."""
    for folder in folders:
        if not _lacking(folder):
            for name in _TOKENIZER:
                refuse_pointer(folder / name)
            return folder
    raise ModelError(f"{folders[-1].name} lacks {_lacking(folders[-1])}: the tokenizer and processor belong beside the weights")


def _lacking(folder: Path) -> str | None:
    """The first file that is missing; a chat template may also stand in the tokenizer's configuration."""
    for name in _TOKENIZER:
        if not (folder / name).exists():
            return name
    if not any((folder / name).exists() for name in _PROCESSOR):
        return _PROCESSOR[0]
    has_template = any((folder / name).exists() for name in _TEMPLATE) or "chat_template" in read_json(folder / _TOKENIZER[1])
    return None if has_template else _TEMPLATE[0]
