"""Writes the folders of a fine-tuned model, adapter and merged, with the server's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit

from keylike.readers.evaluation import Report
from keylike.readers.gemma.manifest import GemmaManifest
from keylike.readers.gemma.manifest_file import in_full
from keylike.readers.model_files import MANIFEST

LICENCE = "that of its base model"
MADE_BY = "python -m tools.training.finetune_gemma"


def save_adapter(model: Any, processor: Any, folder: Path, base: str) -> None:
    """Save the adapter with tokenizer and processor.

    It names its base by folder name, without a path.
    """
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
    model.save_pretrained(str(folder), save_embedding_layers=False)
    # A model card that PEFT generates.
    (folder / "README.md").unlink(missing_ok=True)
    processor.save_pretrained(str(folder))
    _readable(folder)


def save_merged(model: Any, processor: Any, folder: Path) -> None:
    """Save a whole model as safetensors, with tokenizer and processor."""
    model.save_pretrained(str(folder))
    processor.save_pretrained(str(folder))
    _readable(folder)


def _readable(folder: Path) -> None:
    """Make the files readable for the server: libraries save weights for their owner only."""
    for path in folder.iterdir():
        path.chmod(0o644)


def seal(folder: Path, manifest: GemmaManifest, measured: Mapping[str, Any] | None) -> None:
    """Write manifest.toml with the SHA-256 of every file that a loader opens.

    `measured` is added once it is known.
    """
    document = in_full(folder, manifest, told={"licence": LICENCE, "made_by": MADE_BY})
    if measured:
        document["measured"] = dict(measured)
    (folder / MANIFEST).write_text(tomlkit.dumps(document), encoding="utf-8")


def measured(report: Report, keys: int) -> dict[str, Any]:
    """Return the figures on `keys` held-out keys; refusals count as wrong."""
    told: dict[str, Any] = {"held_out": keys}
    if "all" in report.by_group:
        score = report.by_group["all"].to_dict()
        told |= {"whole_code": score["whole"], "whole_code_95": score["whole_95"]}
        told |= {name: score[name] for name in ("photos", "cut", "keyway", "refused")}
    others = list(report.unreadable.values())
    if others:
        told |= {
            "without_code": sum(each["photos"] for each in others),
            "without_code_refused": sum(each["refused"] for each in others),
        }
    return told
