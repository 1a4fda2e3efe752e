"""Safetensors files without PyTorch: what their headers hold, whether they are whole, and which of them make up a model."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keylike.errors import ModelError
from keylike.readers.model_files import called, open_file

MODEL = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_model.safetensors"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
# What training leaves beside the weights.
_NO_WEIGHTS = ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth")
_LFS = b"version https://git-lfs"
# That of Gemma 3n's two thousand tensors is a quarter of a megabyte; parsing takes several times as much memory.
_LONGEST_HEADER = 10_000_000
_LONGEST_JSON = 10_000_000


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as a header announces it; `dtype` in safetensors' words, such as "BF16"."""

    dtype: str
    shape: tuple[int, ...]


def model_files(folder: Path) -> list[Path]:
    """The files of a whole model's weights, each checked to be whole. Raises ModelError."""
    single, index = folder / MODEL, folder / INDEX
    if single.exists() and index.exists():
        raise ModelError(
            f"{folder.name} holds both {MODEL} and {INDEX}: delete the one that does not belong to it"
        )
    if single.exists():
        tensors(single)
        return [single]
    if index.exists():
        return _shards(folder, index)
    raise ModelError(_none_there(folder, MODEL))


def adapter_file(folder: Path) -> Path:
    """The file of a LoRA adapter's weights, checked to be whole. Raises ModelError."""
    path = folder / ADAPTER
    if not path.exists():
        raise ModelError(_none_there(folder, ADAPTER))
    tensors(path)
    return path


def tensors(path: Path) -> dict[str, Tensor]:
    """Name, type and shape of every tensor in a safetensors file. Raises ModelError where the file is not whole."""
    header, room = _header(path)
    try:
        found = {
            name: Tensor(str(each["dtype"]), tuple(map(int, each["shape"])))
            for name, each in header.items()
        }
        end = _end(header)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        raise ModelError(f"{called(path)} is damaged: its header makes no sense") from None
    if end != room:
        much = "shorter" if room < end else "longer"
        raise ModelError(
            f"{called(path)} is {much} than its header says: it is damaged, or its download was cut short"
        )
    return found


def _end(header: Mapping[str, Any]) -> int:
    """Where the last tensor's bytes end. Raises ValueError unless each begins where the one before it ends."""
    at = 0
    for start, end in sorted(
        (int(each["data_offsets"][0]), int(each["data_offsets"][1])) for each in header.values()
    ):
        if start != at or end < start:
            raise ValueError("tensors overlap, or there is something between them")
        at = end
    return at


def parameters(folder: Path) -> int:
    """How many numbers a whole model's weights hold, as stored."""
    return sum(
        math.prod(tensor.shape) for path in model_files(folder) for tensor in tensors(path).values()
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises ModelError for anything else."""
    refuse_pointer(path)
    if path.stat().st_size > _LONGEST_JSON:
        raise ModelError(
            f"{called(path)} is larger than {_LONGEST_JSON:,} bytes: it is no configuration"
        )
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ModelError(f"{called(path)} is missing or cannot be read") from None
    except (ValueError, RecursionError):
        raise ModelError(
            f"{called(path)} is not valid JSON: it is damaged or was cut short"
        ) from None
    if not isinstance(table, dict):
        raise ModelError(f"{called(path)} holds no JSON object")
    return table


def refuse_pointer(path: Path) -> None:
    """Raises ModelError for the few lines that Git LFS leaves where the real file was not fetched."""
    try:
        with open_file(path) as file:
            start = file.read(len(_LFS))
    except OSError:
        raise ModelError(f"{called(path)} is missing or cannot be read") from None
    if start == _LFS:
        raise ModelError(
            f"{called(path)} is a Git LFS pointer, not the file itself: fetch it with git lfs pull"
        )


def _header(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """A file's header without its metadata, and how many bytes follow it."""
    refuse_pointer(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise ModelError(
                f"{called(path)} is no safetensors file, or its download was cut short"
            )
        text = file.read(length)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise ModelError(f"{called(path)} is damaged: its header cannot be read")
    header.pop("__metadata__", None)
    return header, size - 8 - length


def _shards(folder: Path, index: Path) -> list[Path]:
    """Every file that the index names, each holding the tensors that the index says."""
    where = read_json(index).get("weight_map")
    if not isinstance(where, dict) or not where:
        raise ModelError(f"{called(index)} names no weights")
    names = sorted({str(name) for name in where.values()})
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise ModelError(
                f"{called(index)}: {Path(name).name!r} is not the plain name of a safetensors file"
            )
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise ModelError(
            f"{folder.name}: {len(missing)} of {len(names)} files of weights are missing, the first is {missing[0]}"
        )
    held = {name: tensors(folder / name) for name in names}
    for tensor, name in where.items():
        if tensor not in held[name]:
            raise ModelError(
                f"{called(folder / name)} does not hold {tensor}, which {INDEX} says it does"
            )
    return [folder / name for name in names]


def _none_there(folder: Path, wanted: str) -> str:
    pickles = sorted(
        path.name
        for pattern in _PICKLES
        for path in folder.glob(pattern)
        if path.name not in _NO_WEIGHTS
    )
    if pickles:
        return f"{called(folder / pickles[0])}: pickled weights are not opened, since they can run code; save them as safetensors"
    return f"{folder.name} holds no weights: {wanted} is missing"
