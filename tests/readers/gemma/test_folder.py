"""Tests that every defect of a Gemma folder is found before a library opens the folder."""

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
    add_tokenizer,
    lora,
    merged,
    safetensors,
    sharded,
    write_json,
    write_manifest,
)

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n"


def inspect_folder(folder: Path, base_model: Path | None = None) -> Checkpoint:
    """Inspect a Gemma folder, without a models folder in which base models are searched."""
    return inspect(folder, base_model=base_model, models=None)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Return a base model, which is next to the inspected folders."""
    return merged(tmp_path / "base")


def test_merged_model_is_accepted_with_its_manifest(tmp_path: Path) -> None:
    folder = write_manifest(merged(tmp_path / "keys"), "gemma-merged")
    found = inspect_folder(folder)
    assert (found.kind, found.folder, found.weights_folder, found.tokenizer_folder, found.base) == (
        "gemma-merged",
        folder,
        folder,
        folder,
        None,
    )
    assert found.manifest.version == "1.2.3" and not found.quantised


def test_merged_model_in_several_weight_files_is_accepted(tmp_path: Path) -> None:
    assert inspect_folder(sharded(tmp_path / "keys")).kind == "gemma-merged"


def test_adapter_without_a_tokenizer_uses_that_of_its_base_model(
    tmp_path: Path, base: Path
) -> None:
    folder = write_manifest(lora(tmp_path / "keys"), "gemma-lora", base="base")
    found = inspect_folder(folder)
    assert (found.kind, found.folder, found.weights_folder, found.tokenizer_folder) == (
        "gemma-lora",
        folder,
        base,
        base,
    )
    add_tokenizer(folder)
    assert (
        inspect_folder(write_manifest(folder, "gemma-lora", base="base")).tokenizer_folder == folder
    )


@pytest.mark.parametrize("in_base", [False, True])
def test_weights_in_4_bits_are_recognized(tmp_path: Path, base: Path, in_base: bool) -> None:
    folder = lora(tmp_path / "keys") if in_base else merged(tmp_path / "keys")
    assert not inspect_folder(folder).quantised
    write_json((base if in_base else folder) / "config.json", quantization_config=BITS_4)
    assert inspect_folder(folder).quantised


def test_model_in_the_working_directory_has_the_name_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(merged(tmp_path / "keys"))
    assert inspect_folder(Path(".")).manifest.name == "keys"


def _remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _write(name: str, text: str = "{}") -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def _set(name: str, **values: object) -> Callable[[Path], object]:
    return lambda folder: write_json(folder / name, **values)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    (folder / "training_args.bin").touch()


def _truncate(folder: Path) -> None:
    weights_folder = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights_folder[:-1])


def _replace_by_link(name: str) -> Callable[[Path], object]:
    def link(folder: Path) -> None:
        shutil.move(folder / name, folder.parent / "elsewhere")
        (folder / name).symlink_to(folder.parent / "elsewhere")

    return link


MERGED: list[tuple[Callable[[Path], object], str]] = [
    (shutil.rmtree, "keys does not exist"),
    (_empty, "keys is empty"),
    (_remove("config.json"), "neither adapter_config.json .* nor config.json"),
    (_write("adapter_config.json"), "both adapter_config.json and config.json"),
    (_remove("model.safetensors"), "no weights: model.safetensors is missing"),
    (_pickle, "keys/pytorch_model.bin: pickled weights are not opened.*safetensors"),
    (_truncate, "keys/model.safetensors is shorter than its header says"),
    (
        _write("model.safetensors", POINTER),
        "keys/model.safetensors is a Git LFS pointer.*git lfs pull",
    ),
    (_write("tokenizer.json", POINTER), "keys/tokenizer.json is a Git LFS pointer"),
    (
        _write("model.safetensors.index.json"),
        "both model.safetensors and model.safetensors.index.json",
    ),
    (_write("config.json", "{"), "keys/config.json is not valid JSON"),
    (_write("config.json", "[]"), "keys/config.json is not a JSON object"),
    (_set("config.json", model_type="gemma3"), "type is 'gemma3'; only 'gemma3n'"),
    (
        _set("config.json", quantization_config={"quant_method": "gptq"}),
        "only supported quantisation is bitsandbytes' 4 bits",
    ),
    (
        _set("config.json", auto_map={"AutoModel": "mine.Model"}),
        "keys/config.json requests its own code",
    ),
    (
        _set("config.json", vision_config={"auto_map": {"AutoConfig": "a.B"}}),
        "keys/config.json requests its own code",
    ),
    (_set("config.json", trust_remote_code=True), "keys/config.json requests its own code"),
    (
        _set("tokenizer_config.json", auto_map={"AutoTokenizer": ["mine.T", None]}),
        "keys/tokenizer_config.json requests its own code",
    ),
    (
        _set("processor_config.json", auto_map={"AutoProcessor": "mine.P"}),
        "keys/processor_config.json requests its own code",
    ),
    (
        _write("modeling_mine.py", ""),
        "keys/modeling_mine.py: code from a model folder is never run",
    ),
    (_remove("tokenizer.json"), "keys lacks tokenizer.json"),
    (_remove("processor_config.json"), "keys lacks processor_config.json"),
    (_remove("chat_template.jinja"), "keys lacks chat_template.jinja"),
    (
        _replace_by_link("model.safetensors"),
        "keys/model.safetensors is a link that leads out of the folder",
    ),
    (
        _replace_by_link("tokenizer.json"),
        "keys/tokenizer.json is a link that leads out of the folder",
    ),
]


@pytest.mark.parametrize(("damage", "message"), MERGED, ids=[message for _, message in MERGED])
def test_defective_merged_model_is_refused(
    tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    folder = merged(tmp_path / "keys")
    damage(folder)
    assert_refused(folder, message)


LORA: list[tuple[Callable[[Path], object], str]] = [
    (_remove("adapter_model.safetensors"), "no weights: adapter_model.safetensors is missing"),
    (
        lambda folder: (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin"),
        "adapter_model.bin: pickled",
    ),
    (
        _write("adapter_model.safetensors", "12345678" * 4),
        "not a safetensors file, or its download was incomplete",
    ),
    (_set("adapter_config.json", peft_type="IA3"), "type is 'IA3'; only 'LORA'"),
    (
        _set("adapter_config.json", auto_map={"AutoModel": "mine.Model"}),
        "keys/adapter_config.json requests its own code",
    ),
    (
        _set(
            "adapter_config.json",
            auto_mapping={"base_model_class": "Model", "parent_library": "mine"},
        ),
        "code outside transformers",
    ),
    (
        _set("adapter_config.json", megatron_config={}, megatron_core="mine", auto_mapping="mine"),
        "code outside transformers",
    ),
    (
        _set("adapter_config.json", megatron_config={"a": 1}, megatron_core="mine"),
        "code outside transformers",
    ),
    (
        lambda folder: shutil.rmtree(folder.parent / "base"),
        "its base model was not found.*KEYLIKE_BASE_MODEL",
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
        "base/config.json: the model type is 'llama'",
    ),
]


@pytest.mark.parametrize(("damage", "message"), LORA, ids=[message for _, message in LORA])
def test_defective_adapter_is_refused(
    tmp_path: Path, base: Path, damage: Callable[[Path], object], message: str
) -> None:
    folder = lora(tmp_path / "keys")
    damage(folder)
    assert_refused(folder, message)


SHARDS: list[tuple[Callable[[Path], object], str]] = [
    (
        _remove("model-00002-of-00002.safetensors"),
        "1 of 2 weight files are missing, the first is model-00002",
    ),
    (
        _set("model.safetensors.index.json", weight_map={"w0": "../elsewhere.safetensors"}),
        "not the plain name of a safetensors file",
    ),
    (
        _set("model.safetensors.index.json", weight_map={"w0": "/elsewhere.safetensors"}),
        "not the plain name of a safetensors file",
    ),
    (
        _set("model.safetensors.index.json", weight_map={"w0": "model-00002-of-00002.safetensors"}),
        "does not hold w0",
    ),
    (
        _set("model.safetensors.index.json", weight_map={"w0": "model.bin"}),
        "not the plain name of a safetensors file",
    ),
    (_set("model.safetensors.index.json", weight_map={}), "names no weights"),
]


@pytest.mark.parametrize(("damage", "message"), SHARDS, ids=[message for _, message in SHARDS])
def test_defective_set_of_weight_files_is_refused(
    tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    folder = sharded(tmp_path / "keys")
    damage(folder)
    assert_refused(folder, message)


def test_manifest_of_another_kind_than_the_files_is_refused(tmp_path: Path, base: Path) -> None:
    assert_refused(
        write_manifest(merged(tmp_path / "keys"), "gemma-lora"),
        "manifest.toml says gemma-lora, but the files are those of a gemma-merged folder",
    )
    assert_refused(
        write_manifest(lora(tmp_path / "other"), "gemma-merged"), "manifest.toml says gemma-merged"
    )


def test_altered_file_of_a_gemma_folder_is_refused(tmp_path: Path) -> None:
    folder = write_manifest(merged(tmp_path / "keys"), "gemma-merged")
    safetensors(folder / "model.safetensors", {"other": (3, 4)})
    assert_refused(folder, "keys/model.safetensors does not match its SHA-256")


@pytest.mark.parametrize(
    "name", ["model.safetensors", "generation_config.json", "chat_template.jinja"]
)
def test_loadable_file_that_the_manifest_does_not_list_is_refused(
    tmp_path: Path, name: str
) -> None:
    folder = merged(tmp_path / "keys")
    write_json(folder / "generation_config.json")
    assert_refused(
        write_manifest(folder, "gemma-merged", leave_out=name), f"keys/{name} is not in \\[files\\]"
    )


def test_base_model_that_does_not_match_its_manifest_is_refused(tmp_path: Path, base: Path) -> None:
    write_manifest(base, "gemma-merged")
    assert inspect_folder(lora(tmp_path / "keys")).base == base
    write_json(base / "config.json", hidden_size=1)
    assert_refused(tmp_path / "keys", "base/config.json does not match its SHA-256")


def test_adapter_is_refused_as_a_base_model(tmp_path: Path, base: Path) -> None:
    folder, other = lora(tmp_path / "keys"), lora(tmp_path / "other")
    with pytest.raises(ModelError, match="other is itself a LoRA adapter"):
        inspect_folder(folder, base_model=other)


def test_snapshot_of_the_hugging_face_cache_is_accepted(tmp_path: Path) -> None:
    """Inspect a snapshot in the cache of Hugging Face, which has links to files in `blobs`."""
    blobs, snapshot = (
        tmp_path / "models--a--b" / "blobs",
        tmp_path / "models--a--b" / "snapshots" / "0f",
    )
    merged(snapshot)
    blobs.mkdir()
    for path in list(snapshot.iterdir()):
        path.rename(blobs / path.name)
        path.symlink_to(os.path.relpath(blobs / path.name, snapshot))
    assert inspect_folder(snapshot).kind == "gemma-merged"


def test_auto_mapping_to_classes_of_transformers_is_accepted(tmp_path: Path, base: Path) -> None:
    folder = lora(tmp_path / "keys")
    library = {
        "base_model_class": "Gemma3nForConditionalGeneration",
        "parent_library": "transformers.models.gemma3n.modeling_gemma3n",
    }
    write_json(folder / "adapter_config.json", auto_mapping=library)
    assert inspect_folder(folder).kind == "gemma-lora"


def test_digest_of_a_model_changes_with_every_relevant_file(tmp_path: Path, base: Path) -> None:
    folder = lora(tmp_path / "keys")
    digests = [inspect_folder(folder).digest]
    safetensors(folder / "adapter_model.safetensors", {"other": (8, 4)})
    digests.append(inspect_folder(folder).digest)
    write_json(base / "config.json", hidden_size=64)
    digests.append(inspect_folder(folder).digest)
    digests.append(inspect_folder(write_manifest(folder, "gemma-lora", base="base")).digest)
    assert len(set(digests)) == len(digests)
    assert inspect_folder(folder).digest == digests[-1]


def assert_refused(folder: Path, message: str) -> None:
    """Check that the folder is refused with this message, and that it contains no path."""
    with pytest.raises(ModelError, match=message) as error:
        inspect_folder(folder)
    assert str(folder.parent) not in str(error.value)
