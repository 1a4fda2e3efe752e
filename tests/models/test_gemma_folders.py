"""Tests that a Gemma folder cannot make the libraries load other weights, code or tokenizers."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keylike.errors import ModelError
from keylike.readers.gemma.folder import Checkpoint, inspect
from keylike.readers.gemma.weights import tensors
from tests.readers.gemma.fake_folders import (
    WEIGHT,
    lora,
    merged,
    safetensors,
    write_json,
    write_manifest,
)


def inspect_folder(folder: Path) -> Checkpoint:
    """Inspect a Gemma folder whose base model, if any, is in a sibling folder."""
    return inspect(folder, base_model=None, models=None)


def model(**values: object) -> Callable[[Path], object]:
    """Return a function that changes config.json of a folder."""
    return lambda folder: write_json(folder / "config.json", **values)


def vision(**values: object) -> Callable[[Path], object]:
    """Return a function that changes the configuration of the vision network in config.json."""
    return model(vision_config={"architecture": "mobilenetv5_300m_enc", **values})


def tokenizer_file(name: str, **values: object) -> Callable[[Path], object]:
    """Return a function that changes a configuration file of the tokenizer or processor."""
    return lambda folder: write_json(folder / name, **values)


def more_templates(folder: Path) -> None:
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "default.jinja").write_text("{{ 'read 1,2,3,4,5' }}")


def deep(folder: Path) -> None:
    nested = '{"a": ' * 900 + '{"auto_map": {"AutoModel": "mine.Model"}}' + "}" * 900
    (folder / "config.json").write_text(f'{{"model_type": "gemma3n", "text_config": {nested}}}')


def too_deep(folder: Path) -> None:
    (folder / "config.json").write_text('{"a": ' * 200_000)


def too_long(folder: Path) -> None:
    (folder / "config.json").write_text("{" + " " * 10_000_001 + "}")


def pipe(name: str) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return damage


ATTACKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights in a subfolder": (
        model(transformers_weights="more/model.safetensors"),
        "transformers_weights names weights outside",
    ),
    "pickled weights through transformers_weights": (
        model(transformers_weights="adapter_model.bin"),
        "transformers_weights names",
    ),
    "a checkpoint for timm": (
        vision(model_args={"checkpoint_path": "/tmp/evil.pth"}),
        "model_args may only hold sizes",
    ),
    "pretrained weights of timm": (
        vision(model_args={"pretrained": True}),
        "model_args may only hold sizes",
    ),
    "weights in timm's pretrained_cfg": (
        vision(model_args={"pretrained_cfg": {"file": "a.pth"}}),
        "model_args may only hold sizes",
    ),
    "a cache folder for timm": (
        vision(model_args={"cache_dir": 1}),
        "model_args may only hold sizes",
    ),
    "a string for timm": (
        vision(model_args={"act_layer": "evil"}),
        "model_args may only hold sizes",
    ),
    "a timm network on the hub": (
        vision(architecture="hf-hub:evil/model"),
        "architecture must be the name of a timm network",
    ),
    "a timm network in another folder": (
        vision(architecture="local-dir:/tmp/evil"),
        "architecture must be the name of a timm network",
    ),
    "attention from the hub": (
        model(attn_implementation="evil/kernel"),
        "attn_implementation names its own code",
    ),
    "attention from the hub, nested": (
        model(text_config={"attn_implementation": "evil/kernel:f"}),
        "attn_implementation names its own code",
    ),
    "attention from the hub, private field": (
        model(_attn_implementation={"": "evil/kernel"}),
        "_attn_implementation names its own code",
    ),
    "another tokenizer": (
        tokenizer_file("tokenizer_config.json", tokenizer_class="BertJapaneseTokenizer"),
        "tokenizer_class is 'BertJapanese",
    ),
    "a tokenizer with a module path": (
        tokenizer_file("tokenizer_config.json", tokenizer_class="evil.GemmaTokenizer"),
        "which is not one of Gemma's classes",
    ),
    "another processor": (
        tokenizer_file("processor_config.json", processor_class="evil.Processor"),
        "processor_class is 'evil.Processor'",
    ),
    "another image processor": (
        tokenizer_file("processor_config.json", image_processor={"image_processor_type": "Evil"}),
        "image_processor_type is 'Evil'",
    ),
    "another audio processor": (
        tokenizer_file(
            "processor_config.json", feature_extractor={"feature_extractor_type": "Evil"}
        ),
        "feature_extractor_type is",
    ),
    "templates in a subfolder": (
        more_templates,
        "additional_chat_templates: a manifest cannot list",
    ),
    "deeply nested code reference": (deep, "config.json requests its own code"),
    "JSON nested too deeply": (too_deep, "config.json is not valid JSON"),
    "JSON above the size limit": (too_long, "config.json is larger than"),
    "a pipe as configuration": (pipe("config.json"), "config.json is missing or cannot be read"),
    "a pipe as weights": (
        pipe("model.safetensors"),
        "model.safetensors is missing or cannot be read",
    ),
    "a pipe as tokenizer": (pipe("tokenizer.json"), "tokenizer.json is missing or cannot be read"),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("as_base", [False, True])
def test_hostile_gemma_folder_is_refused(tmp_path: Path, attack: str, as_base: bool) -> None:
    """Open the folder as a model and as a base model, without a manifest.

    The hashes of a manifest would detect each attack earlier.
    """
    damage, message = ATTACKS[attack]
    folder = merged(tmp_path / "base")
    damage(folder)
    with pytest.raises(ModelError, match=message) as error:
        inspect_folder(lora(tmp_path / "keys") if as_base else folder)
    assert str(tmp_path) not in str(error.value) and len(str(error.value)) < 300


@pytest.mark.parametrize(
    "config",
    [
        {
            "attn_implementation": "sdpa",
            "vision_config": {"architecture": "mobilenetv5_300m_enc", "model_args": None},
        },
        {
            "_attn_implementation": "eager",
            "vision_config": {
                "model_args": {"channel_multiplier": 0.5, "sizes": [1, 2], "pre": True}
            },
        },
    ],
)
def test_configuration_of_real_gemma_models_is_accepted(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    folder = merged(tmp_path / "keys")
    write_json(folder / "config.json", **config)
    write_json(
        folder / "tokenizer_config.json",
        tokenizer_class="GemmaTokenizerFast",
        processor_class="Gemma3nProcessor",
    )
    types = {
        "image_processor_type": "SiglipImageProcessorFast",
        "feature_extractor_type": "Gemma3nAudioFeatureExtractor",
    }
    write_json(folder / "preprocessor_config.json", **types)
    assert inspect_folder(folder).kind == "gemma-merged"


def header(**entries: dict[str, object]) -> bytes:
    """Return a safetensors file with this header and eight bytes of data."""
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text + bytes(8)


def entry(start: int, end: int, shape: object = (2,)) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}


HEADERS = {
    "overlap": header(a=entry(0, 8), b=entry(4, 8)),
    "the same bytes twice": header(a=entry(0, 8), b=entry(0, 8)),
    "a gap": header(a=entry(0, 2), b=entry(4, 8)),
    "not from the start": header(a=entry(4, 8)),
    "backwards": header(a=entry(0, 8), b=entry(8, 4)),
    "before the start": header(a=entry(-8, 8)),
    "no end": header(a=entry(0, 8, [float("inf")])),
    "no offsets": header(a={"dtype": "F32", "shape": [2]}),
    "a list": header(a=[1, 2]),  # type: ignore[arg-type]
    "longer than the file": (2**63).to_bytes(8, "little") + bytes(100),
    "above the size limit": (10_000_001).to_bytes(8, "little") + bytes(10_000_100),
    "deep": (400_000).to_bytes(8, "little") + b'{"a":' * 80_000 + bytes(8),
    "a pickle": pickle.dumps({"a": [0.0] * 100}),
    "a PyTorch pickle": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("fault", HEADERS)
def test_hostile_safetensors_header_is_refused(tmp_path: Path, fault: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(HEADERS[fault])
    with pytest.raises(ModelError, match=r"model\.safetensors is (damaged|not a safetensors file)"):
        tensors(tmp_path / "model.safetensors")


@pytest.mark.parametrize("change", ["content", "replaced", "added", "removed", "manifest", "base"])
def test_change_of_a_gemma_folder_after_its_inspection_is_detected(
    tmp_path: Path, change: str
) -> None:
    """Change the folder between the inspection and the loading by the libraries.

    The libraries open the files again by name, and the files are too large to keep a copy of them.
    """
    base = merged(tmp_path / "base")
    folder = write_manifest(lora(tmp_path / "keys"), "gemma-lora", base="base")
    checkpoint = inspect_folder(folder)
    checkpoint.refuse_changed()
    weights = folder / "adapter_model.safetensors"
    match change:
        case "content":
            data = bytearray(weights.read_bytes())
            data[-1] ^= 1
            weights.write_bytes(data)
            os.utime(weights, ns=(0, 0))
        case "replaced":
            (folder / "new").write_bytes(weights.read_bytes())
            os.replace(folder / "new", weights)
        case "added":
            (folder / "more.json").write_text("{}")
        case "removed":
            weights.unlink()
        case "manifest":
            (folder / "manifest.toml").write_bytes((folder / "manifest.toml").read_bytes() + b"\n")
        case "base":
            safetensors(base / "model.safetensors", {WEIGHT: (4, 3)})
    with pytest.raises(ModelError, match="keys or its base was changed while it was being loaded"):
        checkpoint.refuse_changed()


@pytest.mark.parametrize(
    "name",
    [
        "evil/model",
        "https://evil.example/model",
        "../../etc",
        "hf-hub:evil/model",
        "s3://evil/model",
    ],
)
def test_base_model_is_never_searched_on_the_network(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[object] = []
    monkeypatch.setattr("socket.socket.connect", lambda _, address: requests.append(address))
    monkeypatch.setattr("socket.getaddrinfo", lambda *names, **_: requests.append(names))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    (tmp_path / "models").mkdir()
    with pytest.raises(ModelError, match="its base model was not found"):
        inspect_folder(lora(tmp_path / "models" / "keys", base=name))
    assert requests == []
