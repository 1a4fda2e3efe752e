"""Check a Gemma folder before any library opens it.

It must be of a known kind, it must be complete, and it must not contain code.
"""

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
    tokenizer_folder,
)
from keylike.readers.gemma.legacy_manifest import legacy_manifest
from keylike.readers.gemma.manifest import GemmaManifest, gemma_manifest
from keylike.readers.model_files import (
    MANIFEST,
    check_files,
    display_name,
    footprint,
    has_manifest,
    read_manifest,
    refuse_escaping_links,
    sha256,
)

Kind = Literal["gemma-lora", "gemma-merged"]
# Suffixes of the files that the libraries may open. All other files are ignored.
OPENED = (".json", ".jinja", ".model", ".safetensors")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder that passed all checks.

    Attributes:
        folder: The folder itself.
        kind: LoRA adapter or complete model.
        manifest: Its manifest, or default values for a folder without one.
        base: Folder of an adapter's base model; None for a complete model.
        tokenizer_folder: Folder whose tokenizer and processor are used.
        quantised: True if the weights are stored in 4 bits.
        digest: Digest of everything that affects answers. Of a base model, only its name, its file
            sizes and its configuration are included.
        fingerprint: Values that change if a file is changed after the checks.
    """

    folder: Path
    kind: Kind
    manifest: GemmaManifest
    base: Path | None
    tokenizer_folder: Path
    quantised: bool
    digest: str
    fingerprint: tuple[object, ...]

    @property
    def weights_folder(self) -> Path:
        """Return the folder of the complete model: the base of an adapter, or the folder itself."""
        return self.base or self.folder

    def refuse_changed(self) -> None:
        """Check that no file has changed since the checks. The libraries open the files again.

        Raises:
            ModelError: A file has changed.
        """
        if _fingerprint(self.folder, self.base) != self.fingerprint:
            raise ModelError(
                f"{self.folder.name} or its base was changed while it was being loaded: try again"
            )


def inspect(folder: Path, *, base_model: Path | None, models: Path | None) -> Checkpoint:
    """Check a folder and, for an adapter, its base model.

    Args:
        folder: Folder to check.
        base_model: Folder of the base model, or None to search for it.
        models: Folder with models in which the base model is searched, or None.

    Raises:
        ModelError: Something is missing, damaged or contradictory. The message names it.
    """
    folder = folder.absolute()
    kind = _kind(folder)
    fingerprint = _fingerprint(folder, None)
    manifest = _manifest(folder, kind)
    refuse_code(folder)
    if kind == "gemma-merged":
        return Checkpoint(
            folder,
            kind,
            manifest,
            None,
            tokenizer_folder(folder),
            check_model(folder),
            _digest(folder),
            fingerprint,
        )
    adapter = check_adapter(folder)
    base = find_base(
        folder, _base_names(folder, manifest, adapter), base_model=base_model, models=models
    ).absolute()
    fingerprint += _fingerprint(base, None)
    quantised = _check_base(base, manifest.base_files)
    return Checkpoint(
        folder,
        kind,
        manifest,
        base,
        tokenizer_folder(folder, base),
        quantised,
        _digest(folder, base),
        fingerprint,
    )


def _kind(folder: Path) -> Kind:
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise ModelError(f"{folder.name} {problem}: MODEL_PATH must name a folder with a model")
    if not any(folder.iterdir()):
        raise ModelError(f"{folder.name} is empty")
    adapter, model = (folder / ADAPTER).exists(), (folder / MODEL).exists()
    if adapter and model:
        raise ModelError(
            f"{folder.name} holds both {ADAPTER} and {MODEL}: "
            "keep an adapter and a whole model in separate folders"
        )
    if not adapter and not model:
        raise ModelError(
            f"{folder.name} holds neither {ADAPTER} (a LoRA adapter) nor {MODEL} (a whole model)"
        )
    return "gemma-lora" if adapter else "gemma-merged"


def _manifest(folder: Path, kind: Kind) -> GemmaManifest:
    """Return the folder's manifest after checking its files.

    A folder without a manifest gets the default one of `legacy_manifest`.
    """
    _refuse_escaping_links(folder)
    if not has_manifest(folder):
        return legacy_manifest(folder.resolve().name, kind)
    manifest = gemma_manifest(_check_listed(folder))
    if manifest.kind != kind:
        raise ModelError(
            f"{display_name(folder / MANIFEST)} says {manifest.kind}, "
            f"but the files are those of a {kind} folder"
        )
    return manifest


def _check_listed(folder: Path) -> Mapping[str, Any]:
    """Check that every file matches its hash, and that all files to be opened are listed.

    Raises:
        ModelError: A check failed.
    """
    table = read_manifest(folder)
    check_files(folder, table)
    unlisted = [path.name for path in _loadable_files(folder) if path.name not in table["files"]]
    if unlisted:
        raise ModelError(
            f"{display_name(folder / unlisted[0])} is not in [files] of {MANIFEST}: "
            "list it with its SHA-256, or remove it"
        )
    return table


def _refuse_escaping_links(folder: Path) -> None:
    refuse_escaping_links(folder, [path.name for path in _loadable_files(folder)])


def _fingerprint(folder: Path, base: Path | None) -> tuple[object, ...]:
    found = [path.name for path in _loadable_files(folder)] + (
        [MANIFEST] if has_manifest(folder) else []
    )
    return footprint(folder, found) + (_fingerprint(base, None) if base else ())


def _base_names(folder: Path, manifest: GemmaManifest, adapter: Mapping[str, Any]) -> list[str]:
    """Return possible names of the base model, most likely first.

    The name in a manifest comes before the name in the adapter's configuration. Without a manifest,
    the default name comes last.
    """
    trained_on = str(adapter.get("base_model_name_or_path") or "")
    names = [manifest.base or "", trained_on]
    return [name for name in (names if has_manifest(folder) else reversed(names)) if name]


def _check_base(base: Path, trained_on: Mapping[str, str]) -> bool:
    """Check a base model.

    Returns:
        True if its weights are stored in 4 bits.

    Raises:
        ModelError: The base model is incomplete, or not the one that the adapter was trained on.
    """
    if _kind(base) != "gemma-merged":
        raise ModelError(
            f"{base.name} is itself a LoRA adapter, so it cannot be the base of another"
        )
    _refuse_escaping_links(base)
    if has_manifest(base):
        _check_listed(base)
    refuse_code(base)
    quantised = check_model(base)
    # The adapter also fits another base model with the same shapes, without any error, but such a
    # combination reads worse.
    for name, digest in trained_on.items():
        if sha256(base / Path(name).name) != digest:
            raise ModelError(
                f"{base.name} is not the base that the adapter was trained on: "
                f"{Path(name).name} does not match its SHA-256"
            )
    return quantised


def _loadable_files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.suffix in OPENED)


def _digest(folder: Path, base: Path | None = None) -> str:
    parts = (
        [sha256(folder / MANIFEST)]
        if has_manifest(folder)
        else [f"{path.name} {sha256(path)}" for path in _loadable_files(folder)]
    )
    if base is not None:
        parts += [
            base.resolve().name,
            *(f"{path.name} {path.stat().st_size}" for path in _loadable_files(base)),
            sha256(base / MODEL),
        ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
