"""Looks at a Gemma folder before anything in it is opened: what it is, whether it is whole, and that it brings no code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from keylike.errors import ModelError
from keylike.readers.gemma.base import find_base
from keylike.readers.gemma.configs import (
    ADAPTER,
    MODEL,
    check_adapter,
    check_model,
    refuse_code,
    words,
)
from keylike.readers.gemma.legacy_manifest import older_manifest
from keylike.readers.gemma.manifest import GemmaManifest, gemma_manifest
from keylike.readers.model_files import (
    MANIFEST,
    called,
    check_files,
    footprint,
    has_manifest,
    read_manifest,
    refuse_ways_out,
    sha256,
)

Kind = Literal["gemma-lora", "gemma-merged"]
# All that the libraries may open; everything else in a folder is left alone.
OPENED = (".json", ".jinja", ".model", ".safetensors")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder that was looked at and found good.

    `base`: of a LoRA, the folder of its base. `words`: the folder whose tokenizer and processor are used. `quantised`: the weights
    are stored in 4 bits already. `digest`: of everything that shapes an answer; of a base, its name, sizes and shapes alone. `seen`: what
    told the files apart when they were looked at.
    """

    folder: Path
    kind: Kind
    manifest: GemmaManifest
    base: Path | None
    words: Path
    quantised: bool
    digest: str
    seen: tuple[object, ...]

    @property
    def whole(self) -> Path:
        """The folder of the whole model: the base of a LoRA, else the folder itself."""
        return self.base or self.folder

    def refuse_changed(self) -> None:
        """Raises ModelError where a file was replaced or written to since it was looked at: the libraries open them anew, by name."""
        if _seen(self.folder, self.base) != self.seen:
            raise ModelError(
                f"{self.folder.name} or its base was changed while it was loaded: try again"
            )


def inspect(folder: Path, *, base_model: Path | None, models: Path | None) -> Checkpoint:
    """Checks a folder, and a LoRA's base with it. Raises ModelError that names what is missing, damaged or contradictory.

    `base_model`: the base to use, whatever the adapter says; `models`: a folder in which the base is looked for too.
    """
    folder = folder.absolute()
    kind = _kind(folder)
    seen = _seen(folder, None)
    manifest = _manifest(folder, kind)
    refuse_code(folder)
    if kind == "gemma-merged":
        return Checkpoint(
            folder, kind, manifest, None, words(folder), check_model(folder), _digest(folder), seen
        )
    adapter = check_adapter(folder)
    base = find_base(
        folder, _names(folder, manifest, adapter), base_model=base_model, models=models
    ).absolute()
    seen += _seen(base, None)
    quantised = _check_base(base, manifest.base_files)
    return Checkpoint(
        folder, kind, manifest, base, words(folder, base), quantised, _digest(folder, base), seen
    )


def _kind(folder: Path) -> Kind:
    if not folder.is_dir():
        there = "is no folder" if folder.exists() else "is not there"
        raise ModelError(f"{folder.name} {there}: MODEL_PATH must name a folder that holds a model")
    if not any(folder.iterdir()):
        raise ModelError(f"{folder.name} is empty")
    adapter, model = (folder / ADAPTER).exists(), (folder / MODEL).exists()
    if adapter and model:
        raise ModelError(
            f"{folder.name} holds both {ADAPTER} and {MODEL}: keep an adapter and a whole model in folders of their own"
        )
    if not adapter and not model:
        raise ModelError(
            f"{folder.name} holds neither {ADAPTER} (a LoRA adapter) nor {MODEL} (a whole model)"
        )
    return "gemma-lora" if adapter else "gemma-merged"


def _manifest(folder: Path, kind: Kind) -> GemmaManifest:
    """The folder's own, its files checked against it; without one, the older guide's."""
    _refuse_ways_out(folder)
    if not has_manifest(folder):
        return older_manifest(folder.resolve().name, kind)
    manifest = gemma_manifest(_check_listed(folder))
    if manifest.kind != kind:
        raise ModelError(
            f"{called(folder / MANIFEST)} says {manifest.kind}, but the files are those of a {kind} folder"
        )
    return manifest


def _check_listed(folder: Path) -> Mapping[str, Any]:
    """Every file as the manifest's hash says, and none besides that would be opened."""
    table = read_manifest(folder)
    check_files(folder, table)
    unlisted = [path.name for path in _opened(folder) if path.name not in table["files"]]
    if unlisted:
        raise ModelError(
            f"{called(folder / unlisted[0])} is not in [files] of {MANIFEST}: list it with its SHA-256, or take it away"
        )
    return table


def _refuse_ways_out(folder: Path) -> None:
    refuse_ways_out(folder, [path.name for path in _opened(folder)])


def _seen(folder: Path, base: Path | None) -> tuple[object, ...]:
    found = [path.name for path in _opened(folder)] + ([MANIFEST] if has_manifest(folder) else [])
    return footprint(folder, found) + (_seen(base, None) if base else ())


def _names(folder: Path, manifest: GemmaManifest, adapter: Mapping[str, Any]) -> list[str]:
    """What the base may be called, the likeliest first: a manifest knows better than the adapter, a default does not."""
    trained_on = str(adapter.get("base_model_name_or_path") or "")
    names = [manifest.base or "", trained_on]
    return [name for name in (names if has_manifest(folder) else reversed(names)) if name]


def _check_base(base: Path, trained_on: Mapping[str, str]) -> bool:
    """Whether its weights are stored in 4 bits. Raises ModelError where it is not whole, or not what the adapter was trained on."""
    if _kind(base) != "gemma-merged":
        raise ModelError(
            f"{base.name} is a LoRA adapter itself, so it cannot be the base of another"
        )
    _refuse_ways_out(base)
    if has_manifest(base):
        _check_listed(base)
    refuse_code(base)
    quantised = check_model(base)
    # Another base of the same shapes would take the adapter without a word, and read worse.
    for name, digest in trained_on.items():
        if sha256(base / Path(name).name) != digest:
            raise ModelError(
                f"{base.name} is not the base that the adapter was trained on: {Path(name).name} does not match its SHA-256"
            )
    return quantised


def _opened(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.suffix in OPENED)


def _digest(folder: Path, base: Path | None = None) -> str:
    parts = (
        [sha256(folder / MANIFEST)]
        if has_manifest(folder)
        else [f"{path.name} {sha256(path)}" for path in _opened(folder)]
    )
    if base is not None:
        parts += [
            base.resolve().name,
            *(f"{path.name} {path.stat().st_size}" for path in _opened(base)),
            sha256(base / MODEL),
        ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
