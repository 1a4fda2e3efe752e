"""Tests of the fine-tuning command: its models, their manifests, and resuming a training."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from keylike.images.photo import open_photo
from keylike.readers.caliper.reader import CaliperReader
from keylike.readers.contract import Reading, Reason, Unreadable
from keylike.readers.gemma.folder import inspect
from tests.gemma_models import ROOT, GemmaModels, draw, environment, run
from tests.tools.training.test_gemma_data import row, write_jsonl
from tools.training.finetune_gemma import FINDER, main
from tools.training.gemma_data import read_shots, split_by_key

pytestmark = pytest.mark.gemma


def table_of(folder: Path) -> dict[str, Any]:
    """Return the parsed manifest of a model folder."""
    return tomllib.loads((folder / "manifest.toml").read_text())


@pytest.mark.parametrize("form", ["lora", "merged", "nf4"])
def test_finetuned_model_reads_its_training_photos(form: str, gemma_models: GemmaModels) -> None:
    from keylike.readers.gemma.reader import GemmaReader

    checkpoint = inspect(getattr(gemma_models, form), base_model=gemma_models.base, models=None)
    finder = CaliperReader.load(FINDER)
    reader = GemmaReader.load(
        checkpoint, backend="transformers", precision="auto", max_batch=4, finder=finder
    )
    for shot, result in zip(
        gemma_models.shots,
        reader.read([open_photo(s.path.read_bytes()) for s in gemma_models.shots]),
        strict=True,
    ):
        if shot.codes is None:
            assert isinstance(result, Unreadable) and result.reason is Reason.NOT_A_KEY
        else:
            assert isinstance(result, Reading) and (result.keyway, result.codes) == (
                shot.keyway,
                shot.codes,
            )
            assert result.confidence > 0.9


def test_adapter_has_only_language_layers_and_contains_no_path(
    gemma_models: GemmaModels,
) -> None:
    from keylike.readers.gemma.weights import adapter_file, tensors

    assert all(
        ".language_model.layers." in name for name in tensors(adapter_file(gemma_models.lora))
    )
    config = (gemma_models.lora / "adapter_config.json").read_text()
    assert (
        json.loads(config)["base_model_name_or_path"]
        == table_of(gemma_models.lora)["base"]
        == gemma_models.base.name
    )
    for folder in (gemma_models.lora, gemma_models.merged):
        assert {path.name for path in folder.iterdir()} == {
            *table_of(folder)["files"],
            "manifest.toml",
        }
        message = [path.read_text() for path in folder.iterdir() if path.suffix != ".safetensors"]
        assert not any(str(gemma_models.base.parent) in text for text in message)


def test_manifest_contains_no_accuracy_without_held_out_keys(gemma_models: GemmaModels) -> None:
    assert (
        table_of(gemma_models.lora)["measured"]
        == table_of(gemma_models.merged)["measured"]
        == {"held_out": 0}
    )


STEPS = 12
SHORT = (
    "--steps",
    str(STEPS),
    "--batch",
    "4",
    "--lr",
    "1e-3",
    "--held-out",
    "0.2",
    "--save-every",
    "2",
)


@dataclass(frozen=True, slots=True)
class ShortRun:
    """Short training run, with its photos, its output folder and its JSON result."""

    photos: Path
    out: Path
    result: dict[str, Any]


@pytest.fixture(scope="module")
def short_run(gemma_models: GemmaModels, tmp_path_factory: pytest.TempPathFactory) -> ShortRun:
    """Train 12 steps without interruption on 12 photos, some of which are held out."""
    folder = tmp_path_factory.mktemp("course")
    draw(folder / "photos", 12)
    printed = run(
        "tools.training.finetune_gemma",
        folder / "photos",
        folder / "out",
        "--base",
        gemma_models.base,
        *SHORT,
    )
    return ShortRun(folder / "photos", folder / "out", json.loads(printed.splitlines()[-1]))


def test_result_and_manifests_report_the_same_accuracy(short_run: ShortRun) -> None:
    _, held_out = split_by_key(read_shots(short_run.photos), 0.2)
    measured = short_run.result["measured"]
    assert (
        measured
        == table_of(short_run.out / "lora")["measured"]
        == table_of(short_run.out / "merged")["measured"]
    )
    assert (
        measured["held_out"] == measured["photos"] == sum(1 for shot in held_out if shot.codes) == 2
    )
    assert measured["without_code"] == 1
    # After 12 steps the network cannot read a key that it has not seen.
    assert measured["whole_code"] == 0.0 and 0 <= measured["cut"] <= 1
    assert (
        short_run.result["photos"],
        short_run.result["from_step"],
        short_run.result["steps"],
    ) == (9, 0, STEPS)


# A program that trains, and kills itself while it writes its third checkpoint.
KILLED_TRAINING = """
import os, signal
from tools.training.finetune_gemma import main
from tools.training.gemma_lora import import_libraries
import_libraries("transformers")
from transformers import Trainer
write = Trainer._save_rng_state
def die(self, folder):
    write(self, folder) if self.state.global_step < 6 else os.kill(os.getpid(), signal.SIGKILL)
Trainer._save_rng_state = die
main()
"""


def test_killed_training_continues_from_its_last_checkpoint(
    short_run: ShortRun, gemma_models: GemmaModels, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = [str(short_run.photos), str(out), "--base", str(gemma_models.base), *SHORT]
    done = subprocess.run(
        [sys.executable, "-c", KILLED_TRAINING, *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL and not (out / "lora").exists()
    assert (out / "checkpoints" / "checkpoint-6").exists()
    result = json.loads(run("tools.training.finetune_gemma", *arguments).splitlines()[-1])
    assert (result["from_step"], result["steps"]) == (4, STEPS)
    assert result["measured"] == short_run.result["measured"]
    for file in ("lora/adapter_model.safetensors", "merged/model.safetensors"):
        assert (out / file).read_bytes() == (short_run.out / file).read_bytes()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("--rank", "4", "rank"), ("--lr", "2e-3", "lr"), ("--reply", "long", "photos")],
)
def test_training_cannot_continue_with_other_settings(
    option: str, value: str, message: str, short_run: ShortRun, gemma_models: GemmaModels
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(
            [
                str(short_run.photos),
                str(short_run.out),
                "--base",
                str(gemma_models.base),
                *SHORT,
                option,
                value,
            ]
        )
    assert str(stopped.value.code).startswith(
        f"finetune_gemma: out belongs to a run with another {message}: "
    )


def test_adapter_or_4_bit_weights_are_refused_as_a_base_model(
    short_run: ShortRun, gemma_models: GemmaModels, tmp_path: Path
) -> None:
    folder = tmp_path / "both"
    shutil.copytree(gemma_models.lora, folder / "lora")
    shutil.copytree(gemma_models.base, folder / gemma_models.base.name)
    for base, message in (
        (folder / "lora", "lora is itself an adapter"),
        (gemma_models.nf4, "nf4 is stored in 4 bits"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(
                [str(short_run.photos), str(tmp_path / "out"), "--base", str(base), "--steps", "1"]
            )
        assert str(stopped.value.code).startswith(f"finetune_gemma: {message}")


def test_invalid_version_or_photo_is_refused_before_training(
    gemma_models: GemmaModels, tmp_path: Path
) -> None:
    file = write_jsonl(tmp_path, row(), row(image_path="broken.jpg", bittings=[1, 2, 3, 4, 5]))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    for options, message in (
        (["--version", "no version"], "manifest.toml: version"),
        (["--held-out", "0.5"], "broken.jpg: This is not a picture"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main([str(file), str(tmp_path / "out"), "--base", str(gemma_models.base), *options])
        assert str(stopped.value.code).startswith(f"finetune_gemma: {message}")
    assert not (tmp_path / "out" / "checkpoints").exists()
