"""Check safetensors files without PyTorch: their headers, and that all files are complete."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keylike.errors import ModelError
from keylike.readers.model_files import display_name, open_file

MODEL = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_model.safetensors"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
# Training state that trainers save next to the weights.
_TRAINING_STATE = ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth")
_LFS = b"version https://git-lfs"
# Largest sizes in bytes of a safetensors header and of a JSON file. The header of Gemma 3n with its
# 2,000 tensors has 250 kB. Parsing takes several times as much memory.
_MAX_HEADER_BYTES = 10_000_000
_MAX_JSON_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as a header describes it. `dtype` is a name of safetensors, such as "BF16"."""

    dtype: str
    shape: tuple[int, ...]


def model_files(folder: Path) -> list[Path]:
    """Return the weight files of a complete model after checking that each file is complete.

    Raises:
        ModelError: A file is missing or damaged.
    """
    single, index = folder / MODEL, folder / INDEX
    if single.exists() and index.exists():
        raise ModelError(
            f"{folder.name} holds both {MODEL} and {INDEX}: "
            "delete the one that does not belong to it"
        )
    if single.exists():
        tensors(single)
        return [single]
    if index.exists():
        return _shards(folder, index)
    raise ModelError(_no_weights_message(folder, MODEL))


def adapter_file(folder: Path) -> Path:
    """Return the weight file of a LoRA adapter after checking that it is complete.

    Raises:
        ModelError: The file is missing or damaged.
    """
    path = folder / ADAPTER
    if not path.exists():
        raise ModelError(_no_weights_message(folder, ADAPTER))
    tensors(path)
    return path


def tensors(path: Path) -> dict[str, Tensor]:
    """Return the name, type and shape of every tensor in a safetensors file.

    Raises:
        ModelError: The file is incomplete or damaged.
    """
    header, data_size = _header(path)
    try:
        found = {
            name: Tensor(str(entry["dtype"]), tuple(map(int, entry["shape"])))
            for name, entry in header.items()
        }
        end = _data_end(header)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        raise ModelError(f"{display_name(path)} is damaged: its header is invalid") from None
    if end != data_size:
        comparison = "shorter" if data_size < end else "longer"
        raise ModelError(
            f"{display_name(path)} is {comparison} than its header says: "
            "it is damaged, or its download was incomplete"
        )
    return found


def _data_end(header: Mapping[str, Any]) -> int:
    """Return the offset at which the last tensor ends.

    Raises:
        ValueError: Tensors overlap or have gaps between them.
    """
    offset = 0
    for start, end in sorted(
        (int(entry["data_offsets"][0]), int(entry["data_offsets"][1])) for entry in header.values()
    ):
        if start != offset or end < start:
            raise ValueError("tensors overlap or have gaps between them")
        offset = end
    return offset


def parameters(folder: Path) -> int:
    """Return the number of stored parameters of a complete model."""
    return sum(
        math.prod(tensor.shape) for path in model_files(folder) for tensor in tensors(path).values()
    )


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object from a file.

    Raises:
        ModelError: The file is missing, too large or not a JSON object.
    """
    refuse_pointer(path)
    if path.stat().st_size > _MAX_JSON_BYTES:
        raise ModelError(
            f"{display_name(path)} is larger than {_MAX_JSON_BYTES:,} bytes: "
            "it is not a configuration"
        )
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ModelError(f"{display_name(path)} is missing or cannot be read") from None
    except (ValueError, RecursionError):
        raise ModelError(
            f"{display_name(path)} is not valid JSON: it is damaged or truncated"
        ) from None
    if not isinstance(table, dict):
        raise ModelError(f"{display_name(path)} is not a JSON object")
    return table


def refuse_pointer(path: Path) -> None:
    """Check that a file is not a Git LFS pointer.

    Raises:
        ModelError: The file is a Git LFS pointer, or cannot be read.
    """
    try:
        with open_file(path) as file:
            start = file.read(len(_LFS))
    except OSError:
        raise ModelError(f"{display_name(path)} is missing or cannot be read") from None
    if start == _LFS:
        raise ModelError(
            f"{display_name(path)} is a Git LFS pointer, not the file itself: run git lfs pull"
        )


def _header(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """Return the header of a file without its metadata, and the size of the data after it."""
    refuse_pointer(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _MAX_HEADER_BYTES):
            raise ModelError(
                f"{display_name(path)} is not a safetensors file, or its download was incomplete"
            )
        text = file.read(length)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise ModelError(f"{display_name(path)} is damaged: its header cannot be read")
    header.pop("__metadata__", None)
    return header, size - 8 - length


def _shards(folder: Path, index: Path) -> list[Path]:
    """Return the files in the index after checking that each contains the tensors it should."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{display_name(index)} names no weights")
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise ModelError(
                f"{display_name(index)}: {Path(name).name!r} is not the plain name of a "
                "safetensors file"
            )
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise ModelError(
            f"{folder.name}: {len(missing)} of {len(names)} weight files are missing, "
            f"the first is {missing[0]}"
        )
    stored = {name: tensors(folder / name) for name in names}
    for tensor, name in weight_map.items():
        if tensor not in stored[name]:
            raise ModelError(
                f"{display_name(folder / name)} does not hold {tensor}, which {INDEX} says it does"
            )
    return [folder / name for name in names]


def _no_weights_message(folder: Path, wanted: str) -> str:
    pickles = sorted(
        path.name
        for pattern in _PICKLES
        for path in folder.glob(pattern)
        if path.name not in _TRAINING_STATE
    )
    if pickles:
        return (
            f"{display_name(folder / pickles[0])}: "
            "pickled weights are not opened because they can run code; save them as safetensors"
        )
    return f"{folder.name} holds no weights: {wanted} is missing"
