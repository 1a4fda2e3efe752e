"""What lies in a Gemma folder is found out before anything is opened; each thing wrong is told apart, in words that say what to do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from keylike.errors import ModelError
from keylike.readers.gemma.folder import Checkpoint, inspect
from tests.readers.gemma.fake_folders import (
    BITS_4,
    lora,
    merged,
    safetensors,
    seal,
    sharded,
    words,
    write_json,
)

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n"


def look(folder: Path, base_model: Path | None = None) -> Checkpoint:
    """Looks at a folder, with no folder of models."""
    return inspect(folder, base_model=base_model, models=None)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A base beside the folders that are looked at."""
    return merged(tmp_path / "base")


def test_merged(tmp_path: Path) -> None:
    folder = seal(merged(tmp_path / "keys"), "gemma-merged")
    found = look(folder)
    assert (found.kind, found.folder, found.whole, found.words, found.base) == (
        "gemma-merged",
        folder,
        folder,
        folder,
        None,
    )
    assert found.manifest.version == "1.2.3" and not found.quantised


def test_merged_in_shards(tmp_path: Path) -> None:
    assert look(sharded(tmp_path / "keys")).kind == "gemma-merged"


def test_lora_takes_what_it_lacks_from_its_base(tmp_path: Path, base: Path) -> None:
    folder = seal(lora(tmp_path / "keys"), "gemma-lora", base="base")
    found = look(folder)
    assert (found.kind, found.folder, found.whole, found.words) == (
        "gemma-lora",
        folder,
        base,
        base,
    )
    words(folder)
    assert look(seal(folder, "gemma-lora", base="base")).words == folder


@pytest.mark.parametrize("of_base", [False, True])
def test_stored_in_4_bits(tmp_path: Path, base: Path, of_base: bool) -> None:
    folder = lora(tmp_path / "keys") if of_base else merged(tmp_path / "keys")
    assert not look(folder).quantised
    write_json((base if of_base else folder) / "config.json", quantization_config=BITS_4)
    assert look(folder).quantised


def test_a_folder_named_from_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(merged(tmp_path / "keys"))
    assert look(Path(".")).manifest.name == "keys"


def _without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _adding(name: str, text: str = "{}") -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def _saying(name: str, **values: object) -> Callable[[Path], object]:
    return lambda folder: write_json(folder / name, **values)


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    (folder / "training_args.bin").touch()


def _cut_short(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-1])


def _linked(name: str) -> Callable[[Path], object]:
    def link(folder: Path) -> None:
        shutil.move(folder / name, folder.parent / "elsewhere")
        (folder / name).symlink_to(folder.parent / "elsewhere")

    return link


MERGED: list[tuple[Callable[[Path], object], str]] = [
    (shutil.rmtree, "keys is not there"),
    (_emptied, "keys is empty"),
    (_without("config.json"), "neither adapter_config.json .* nor config.json"),
    (_adding("adapter_config.json"), "both adapter_config.json and config.json"),
    (_without("model.safetensors"), "no weights: model.safetensors is missing"),
    (_pickled, "keys/pytorch_model.bin: pickled weights are not opened.*safetensors"),
    (_cut_short, "keys/model.safetensors is shorter than its header says"),
    (
        _adding("model.safetensors", POINTER),
        "keys/model.safetensors is a Git LFS pointer.*git lfs pull",
    ),
    (_adding("tokenizer.json", POINTER), "keys/tokenizer.json is a Git LFS pointer"),
    (
        _adding("model.safetensors.index.json"),
        "both model.safetensors and model.safetensors.index.json",
    ),
    (_adding("config.json", "{"), "keys/config.json is not valid JSON"),
    (_adding("config.json", "[]"), "keys/config.json holds no JSON object"),
    (_saying("config.json", model_type="gemma3"), "type is 'gemma3', and only 'gemma3n'"),
    (
        _saying("config.json", quantization_config={"quant_method": "gptq"}),
        "only bitsandbytes' 4-bit",
    ),
    (
        _saying("config.json", auto_map={"AutoModel": "mine.Model"}),
        "keys/config.json asks for code",
    ),
    (
        _saying("config.json", vision_config={"auto_map": {"AutoConfig": "a.B"}}),
        "keys/config.json asks for code",
    ),
    (_saying("config.json", trust_remote_code=True), "keys/config.json asks for code"),
    (
        _saying("tokenizer_config.json", auto_map={"AutoTokenizer": ["mine.T", None]}),
        "keys/tokenizer_config.json asks for code",
    ),
    (
        _saying("processor_config.json", auto_map={"AutoProcessor": "mine.P"}),
        "keys/processor_config.json asks for code",
    ),
    (
        _adding("modeling_mine.py", ""),
        "keys/modeling_mine.py: code out of a model folder is never run",
    ),
    (_without("tokenizer.json"), "keys lacks tokenizer.json"),
    (_without("processor_config.json"), "keys lacks processor_config.json"),
    (_without("chat_template.jinja"), "keys lacks chat_template.jinja"),
    (_linked("model.safetensors"), "keys/model.safetensors is a link that leads out of the folder"),
    (_linked("tokenizer.json"), "keys/tokenizer.json is a link that leads out of the folder"),
]


@pytest.mark.parametrize(("spoil", "told"), MERGED, ids=[told for _, told in MERGED])
def test_what_is_wrong_with_a_whole_model(
    tmp_path: Path, spoil: Callable[[Path], object], told: str
) -> None:
    folder = merged(tmp_path / "keys")
    spoil(folder)
    refused(folder, told)


LORA: list[tuple[Callable[[Path], object], str]] = [
    (_without("adapter_model.safetensors"), "no weights: adapter_model.safetensors is missing"),
    (
        lambda folder: (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin"),
        "adapter_model.bin: pickled",
    ),
    (
        _adding("adapter_model.safetensors", "12345678" * 4),
        "no safetensors file, or its download was cut short",
    ),
    (_saying("adapter_config.json", peft_type="IA3"), "type 'IA3', and only 'LORA'"),
    (
        _saying("adapter_config.json", auto_map={"AutoModel": "mine.Model"}),
        "keys/adapter_config.json asks for code",
    ),
    (
        _saying(
            "adapter_config.json",
            auto_mapping={"base_model_class": "Model", "parent_library": "mine"},
        ),
        "code outside of transformers",
    ),
    (
        _saying(
            "adapter_config.json", megatron_config={}, megatron_core="mine", auto_mapping="mine"
        ),
        "code outside of transformers",
    ),
    (
        _saying("adapter_config.json", megatron_config={"a": 1}, megatron_core="mine"),
        "code outside of transformers",
    ),
    (
        lambda folder: shutil.rmtree(folder.parent / "base"),
        "its base model is not here.*KEYLIKE_BASE_MODEL",
    ),
    (
        lambda folder: (folder.parent / "base" / "model.safetensors").unlink(),
        "base holds no weights",
    ),
    (lambda folder: (folder.parent / "base" / "code.py").touch(), "base/code.py: code"),
    (
        lambda folder: (folder.parent / "base" / "tokenizer.json").unlink(),
        "base lacks tokenizer.json",
    ),
    (
        lambda folder: write_json(folder.parent / "base" / "config.json", model_type="llama"),
        "base/config.json: the model's type is 'llama'",
    ),
]


@pytest.mark.parametrize(("spoil", "told"), LORA, ids=[told for _, told in LORA])
def test_what_is_wrong_with_an_adapter(
    tmp_path: Path, base: Path, spoil: Callable[[Path], object], told: str
) -> None:
    folder = lora(tmp_path / "keys")
    spoil(folder)
    refused(folder, told)


SHARDS: list[tuple[Callable[[Path], object], str]] = [
    (
        _without("model-00002-of-00002.safetensors"),
        "1 of 2 files of weights are missing, the first is model-00002",
    ),
    (
        _saying("model.safetensors.index.json", weight_map={"w0": "../elsewhere.safetensors"}),
        "not the plain name of a safetensors file",
    ),
    (
        _saying("model.safetensors.index.json", weight_map={"w0": "/elsewhere.safetensors"}),
        "not the plain name of a safetensors file",
    ),
    (
        _saying(
            "model.safetensors.index.json", weight_map={"w0": "model-00002-of-00002.safetensors"}
        ),
        "does not hold w0",
    ),
    (
        _saying("model.safetensors.index.json", weight_map={"w0": "model.bin"}),
        "not the plain name of a safetensors file",
    ),
    (_saying("model.safetensors.index.json", weight_map={}), "names no weights"),
]


@pytest.mark.parametrize(("spoil", "told"), SHARDS, ids=[told for _, told in SHARDS])
def test_what_is_wrong_with_shards(
    tmp_path: Path, spoil: Callable[[Path], object], told: str
) -> None:
    folder = sharded(tmp_path / "keys")
    spoil(folder)
    refused(folder, told)


def test_manifest_against_what_lies_there(tmp_path: Path, base: Path) -> None:
    refused(
        seal(merged(tmp_path / "keys"), "gemma-lora"),
        "manifest.toml says gemma-lora, but the files are those of a gemma-merged folder",
    )
    refused(seal(lora(tmp_path / "other"), "gemma-merged"), "manifest.toml says gemma-merged")


def test_altered_since_it_was_listed(tmp_path: Path) -> None:
    folder = seal(merged(tmp_path / "keys"), "gemma-merged")
    safetensors(folder / "model.safetensors", {"other": (3, 4)})
    refused(folder, "keys/model.safetensors does not match its SHA-256")


@pytest.mark.parametrize(
    "name", ["model.safetensors", "generation_config.json", "chat_template.jinja"]
)
def test_not_listed(tmp_path: Path, name: str) -> None:
    folder = merged(tmp_path / "keys")
    write_json(folder / "generation_config.json")
    refused(seal(folder, "gemma-merged", leave_out=name), f"keys/{name} is not in \\[files\\]")


def test_listed_base_is_held_against_its_manifest(tmp_path: Path, base: Path) -> None:
    seal(base, "gemma-merged")
    assert look(lora(tmp_path / "keys")).base == base
    write_json(base / "config.json", hidden_size=1)
    refused(tmp_path / "keys", "base/config.json does not match its SHA-256")


def test_base_that_is_an_adapter(tmp_path: Path, base: Path) -> None:
    folder, other = lora(tmp_path / "keys"), lora(tmp_path / "other")
    with pytest.raises(ModelError, match="other is a LoRA adapter itself"):
        look(folder, base_model=other)


def test_links_of_a_download_from_the_hub(tmp_path: Path) -> None:
    """Its snapshots hold links to files beside them."""
    blobs, snapshot = (
        tmp_path / "models--a--b" / "blobs",
        tmp_path / "models--a--b" / "snapshots" / "0f",
    )
    merged(snapshot)
    blobs.mkdir()
    for path in list(snapshot.iterdir()):
        path.rename(blobs / path.name)
        path.symlink_to(os.path.relpath(blobs / path.name, snapshot))
    assert look(snapshot).kind == "gemma-merged"


def test_auto_mapping_of_transformers_own_classes_is_harmless(tmp_path: Path, base: Path) -> None:
    folder = lora(tmp_path / "keys")
    library = {
        "base_model_class": "Gemma3nForConditionalGeneration",
        "parent_library": "transformers.models.gemma3n.modeling_gemma3n",
    }
    write_json(folder / "adapter_config.json", auto_mapping=library)
    assert look(folder).kind == "gemma-lora"


def test_digest_changes_with_all_that_shapes_an_answer(tmp_path: Path, base: Path) -> None:
    folder = lora(tmp_path / "keys")
    digests = [look(folder).digest]
    safetensors(folder / "adapter_model.safetensors", {"other": (8, 4)})
    digests.append(look(folder).digest)
    write_json(base / "config.json", hidden_size=64)
    digests.append(look(folder).digest)
    digests.append(look(seal(folder, "gemma-lora", base="base")).digest)
    assert len(set(digests)) == len(digests)
    assert look(folder).digest == digests[-1]


def refused(folder: Path, told: str) -> None:
    """The folder is not taken, for the reason given and without a path that /health would show."""
    with pytest.raises(ModelError, match=told) as error:
        look(folder)
    assert str(folder.parent) not in str(error.value)
