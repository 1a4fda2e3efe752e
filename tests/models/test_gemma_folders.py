"""Gemma folders that ask for other weights, other code or other words than they list: refused before a library opens anything."""

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
from tests.readers.gemma.fake_folders import WEIGHT, lora, merged, safetensors, seal, write_json


def look(folder: Path) -> Checkpoint:
    """With the base beside it."""
    return inspect(folder, base_model=None, models=None)


def model(**values: object) -> Callable[[Path], object]:
    """Adds to config.json."""
    return lambda folder: write_json(folder / "config.json", **values)


def vision(**values: object) -> Callable[[Path], object]:
    """The same, to what it says of the network that sees."""
    return model(vision_config={"architecture": "mobilenetv5_300m_enc", **values})


def words(name: str, **values: object) -> Callable[[Path], object]:
    """Adds to a file of tokenizer or processor."""
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
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return spoil


ATTACKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights in a folder below": (
        model(transformers_weights="more/model.safetensors"),
        "transformers_weights names other weights",
    ),
    "pickled weights of transformers' own choice": (
        model(transformers_weights="adapter_model.bin"),
        "transformers_weights names",
    ),
    "a checkpoint for timm": (
        vision(model_args={"checkpoint_path": "/tmp/evil.pth"}),
        "model_args may hold nothing but sizes",
    ),
    "weights that timm knows": (
        vision(model_args={"pretrained": True}),
        "model_args may hold nothing but sizes",
    ),
    "weights that timm is told of": (
        vision(model_args={"pretrained_cfg": {"file": "a.pth"}}),
        "model_args may hold nothing but sizes",
    ),
    "a cache for timm": (
        vision(model_args={"cache_dir": 1}),
        "model_args may hold nothing but sizes",
    ),
    "text for timm": (
        vision(model_args={"act_layer": "evil"}),
        "model_args may hold nothing but sizes",
    ),
    "a network of timm's on the hub": (
        vision(architecture="hf-hub:evil/model"),
        "architecture must be the name of one of timm's",
    ),
    "a network of timm's elsewhere": (
        vision(architecture="local-dir:/tmp/evil"),
        "architecture must be the name of one of timm's",
    ),
    "attention from the hub": (
        model(attn_implementation="evil/kernel"),
        "attn_implementation names code of its own",
    ),
    "attention from the hub, inside": (
        model(text_config={"attn_implementation": "evil/kernel:f"}),
        "attn_implementation names code",
    ),
    "attention from the hub, hidden": (
        model(_attn_implementation={"": "evil/kernel"}),
        "_attn_implementation names code",
    ),
    "another tokenizer": (
        words("tokenizer_config.json", tokenizer_class="BertJapaneseTokenizer"),
        "tokenizer_class is 'BertJapanese",
    ),
    "a tokenizer with a place": (
        words("tokenizer_config.json", tokenizer_class="evil.GemmaTokenizer"),
        "which is none of Gemma's",
    ),
    "another processor": (
        words("processor_config.json", processor_class="evil.Processor"),
        "processor_class is 'evil.Processor'",
    ),
    "other pictures": (
        words("processor_config.json", image_processor={"image_processor_type": "Evil"}),
        "image_processor_type is 'Evil'",
    ),
    "other sounds": (
        words("processor_config.json", feature_extractor={"feature_extractor_type": "Evil"}),
        "feature_extractor_type is",
    ),
    "templates in a folder below": (more_templates, "additional_chat_templates: no manifest lists"),
    "code asked for deep inside": (deep, "config.json asks for code"),
    "JSON deeper than can be read": (too_deep, "config.json is not valid JSON"),
    "JSON longer than can be": (too_long, "config.json is larger than"),
    "a pipe for a configuration": (pipe("config.json"), "config.json is missing or cannot be read"),
    "a pipe for weights": (
        pipe("model.safetensors"),
        "model.safetensors is missing or cannot be read",
    ),
    "a pipe for words": (pipe("tokenizer.json"), "tokenizer.json is missing or cannot be read"),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("as_base", [False, True])
def test_a_folder_brings_nothing_but_what_it_lists(
    tmp_path: Path, attack: str, as_base: bool
) -> None:
    """As a model, and as the base of an adapter, both without hashes: with them the file would have been listed as it is."""
    spoil, told = ATTACKS[attack]
    folder = merged(tmp_path / "base")
    spoil(folder)
    with pytest.raises(ModelError, match=told) as error:
        look(lora(tmp_path / "keys") if as_base else folder)
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
def test_what_real_models_say_is_taken(tmp_path: Path, config: dict[str, Any]) -> None:
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
    assert look(folder).kind == "gemma-merged"


def header(**entries: dict[str, object]) -> bytes:
    """A safetensors file with this header and eight bytes of data."""
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text + bytes(8)


def one(start: int, end: int, shape: object = (2,)) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}


HEADERS = {
    "overlap": header(a=one(0, 8), b=one(4, 8)),
    "the same bytes twice": header(a=one(0, 8), b=one(0, 8)),
    "a hole": header(a=one(0, 2), b=one(4, 8)),
    "not from the beginning": header(a=one(4, 8)),
    "backwards": header(a=one(0, 8), b=one(8, 4)),
    "before the beginning": header(a=one(-8, 8)),
    "no end": header(a=one(0, 8, [float("inf")])),
    "no offsets": header(a={"dtype": "F32", "shape": [2]}),
    "a list": header(a=[1, 2]),  # type: ignore[arg-type]
    "longer than the file": (2**63).to_bytes(8, "little") + bytes(100),
    "longer than any": (10_000_001).to_bytes(8, "little") + bytes(10_000_100),
    "deep": (400_000).to_bytes(8, "little") + b'{"a":' * 80_000 + bytes(8),
    "a pickle": pickle.dumps({"a": [0.0] * 100}),
    "a pickle of PyTorch's": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("fault", HEADERS)
def test_safetensors_headers_that_lie(tmp_path: Path, fault: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(HEADERS[fault])
    with pytest.raises(ModelError, match=r"model\.safetensors is (damaged|no safetensors file)"):
        tensors(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    "change", ["content", "replaced", "added", "taken away", "manifest", "base"]
)
def test_what_changed_since_it_was_checked_is_noticed(tmp_path: Path, change: str) -> None:
    """The libraries open files anew, by name, and they are too large to be held twice: so they are looked at again afterwards."""
    base = merged(tmp_path / "base")
    folder = seal(lora(tmp_path / "keys"), "gemma-lora", base="base")
    found = look(folder)
    found.refuse_changed()
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
        case "taken away":
            weights.unlink()
        case "manifest":
            (folder / "manifest.toml").write_bytes((folder / "manifest.toml").read_bytes() + b"\n")
        case "base":
            safetensors(base / "model.safetensors", {WEIGHT: (4, 3)})
    with pytest.raises(ModelError, match="keys or its base was changed while it was loaded"):
        found.refuse_changed()


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
def test_a_base_is_never_looked_for_outside_of_this_machine(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr("socket.socket.connect", lambda _, address: asked.append(address))
    monkeypatch.setattr("socket.getaddrinfo", lambda *names, **_: asked.append(names))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    (tmp_path / "models").mkdir()
    with pytest.raises(ModelError, match="its base model is not here"):
        look(lora(tmp_path / "models" / "keys", base=name))
    assert asked == []
