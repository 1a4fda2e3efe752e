"""Write the results of fine-tuning: the adapter and the merged model, each with its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit

from keylike.readers.evaluation import Report
from keylike.readers.gemma.manifest import GemmaManifest
from keylike.readers.gemma.manifest_file import full_manifest
from keylike.readers.model_files import MANIFEST

LICENCE = "that of its base model"
MADE_BY = "python -m tools.training.finetune_gemma"


def save_adapter(model: Any, processor: Any, folder: Path, base: str) -> None:
    """Save the adapter with tokenizer and processor.

    The folder's name of the base model is recorded, not its path on this machine.
    """
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
    model.save_pretrained(str(folder), save_embedding_layers=False)
    # PEFT writes the template of a model card. The manifest describes the adapter instead.
    (folder / "README.md").unlink(missing_ok=True)
    processor.save_pretrained(str(folder))
    _make_readable(folder)


def save_merged(model: Any, processor: Any, folder: Path) -> None:
    """Save a whole model as safetensors with tokenizer and processor."""
    model.save_pretrained(str(folder))
    processor.save_pretrained(str(folder))
    _make_readable(folder)


def _make_readable(folder: Path) -> None:
    """Make the files readable by all users. The libraries give only the owner access to weights."""
    for path in folder.iterdir():
        path.chmod(0o644)


def write_manifest(
    folder: Path, manifest: GemmaManifest, measured: Mapping[str, Any] | None
) -> None:
    """Write the manifest.toml of a folder with the SHA-256 of every loadable file.

    Args:
        folder: Folder of the model.
        manifest: Manifest to write.
        measured: Measured accuracy, or None before the measurement.
    """
    document = full_manifest(folder, manifest, extra={"licence": LICENCE, "made_by": MADE_BY})
    if measured:
        document["measured"] = dict(measured)
    (folder / MANIFEST).write_text(tomlkit.dumps(document), encoding="utf-8")


def measured(report: Report, keys: int) -> dict[str, Any]:
    """Return the accuracy on held-out photos for the manifest. Refusals count as wrong.

    Args:
        report: Evaluation of the held-out photos.
        keys: Number of held-out keys, none of which was trained on.
    """
    metrics: dict[str, Any] = {"held_out": keys}
    if "all" in report.by_group:
        score = report.by_group["all"].to_dict()
        metrics |= {"whole_code": score["whole"], "whole_code_95": score["whole_95"]}
        metrics |= {name: score[name] for name in ("photos", "cut", "keyway", "refused")}
    others = list(report.unreadable.values())
    if others:
        metrics |= {
            "without_code": sum(counts["photos"] for counts in others),
            "without_code_refused": sum(counts["refused"] for counts in others),
        }
    return metrics
