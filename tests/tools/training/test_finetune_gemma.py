"""Fine-tuning by its command: the outcome reads, says on what it was measured, and a training that was killed goes on."""

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
from tests.tools.training.test_gemma_data import own, row
from tools.training.finetune_gemma import FINDER, main
from tools.training.gemma_data import part, read_shots

pytestmark = pytest.mark.gemma


def table_of(folder: Path) -> dict[str, Any]:
    """A folder's manifest."""
    return tomllib.loads((folder / "manifest.toml").read_text())


@pytest.mark.parametrize("form", ["lora", "merged", "nf4"])
def test_finetune_model_reads_trained_keys(form: str, gemma_models: GemmaModels) -> None:
    from keylike.readers.gemma.reader import GemmaReader

    checkpoint = inspect(getattr(gemma_models, form), base_model=gemma_models.base, models=None)
    finder = CaliperReader.load(FINDER)
    reader = GemmaReader.load(
        checkpoint, backend="transformers", precision="auto", max_batch=4, finder=finder
    )
    for each, result in zip(
        gemma_models.shots,
        reader.read([open_photo(s.path.read_bytes()) for s in gemma_models.shots]),
        strict=True,
    ):
        if each.codes is None:
            assert isinstance(result, Unreadable) and result.reason is Reason.NOT_A_KEY
        else:
            assert isinstance(result, Reading) and (result.keyway, result.codes) == (
                each.keyway,
                each.codes,
            )
            assert result.confidence > 0.9


def test_adapter_has_language_layers_only_and_no_path(
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
        told = [path.read_text() for path in folder.iterdir() if path.suffix != ".safetensors"]
        assert not any(str(gemma_models.base.parent) in text for text in told)


def test_finetune_without_held_out_keys_claims_nothing(gemma_models: GemmaModels) -> None:
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
class Course:
    """One short training: its photos, what it wrote, and the command's last line."""

    photos: Path
    out: Path
    told: dict[str, Any]


@pytest.fixture(scope="module")
def course(gemma_models: GemmaModels, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """Twelve steps without a break, on twelve photos with some keys held out."""
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
    return Course(folder / "photos", folder / "out", json.loads(printed.splitlines()[-1]))


def test_finetune_last_line_equals_the_manifests_figures(course: Course) -> None:
    _, held = part(read_shots(course.photos), 0.2)
    measured = course.told["measured"]
    assert (
        measured
        == table_of(course.out / "lora")["measured"]
        == table_of(course.out / "merged")["measured"]
    )
    assert measured["held_out"] == measured["photos"] == sum(1 for each in held if each.codes) == 2
    assert measured["without_code"] == 1
    # Twelve steps do not teach a network that knows nothing to measure a key that it never saw.
    assert measured["whole_code"] == 0.0 and 0 <= measured["cut"] <= 1
    assert (course.told["photos"], course.told["from_step"], course.told["steps"]) == (9, 0, STEPS)


# Dies without a word in the midst of writing its third checkpoint.
KILLED = """
import os, signal
from tools.training.finetune_gemma import main
from tools.training.gemma_lora import bring_in
bring_in("transformers")
from transformers import Trainer
write = Trainer._save_rng_state
def die(self, folder):
    write(self, folder) if self.state.global_step < 6 else os.kill(os.getpid(), signal.SIGKILL)
Trainer._save_rng_state = die
main()
"""


def test_train_killed_run_resumes_to_the_same_end(
    course: Course, gemma_models: GemmaModels, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = [str(course.photos), str(out), "--base", str(gemma_models.base), *SHORT]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], cwd=ROOT, env=environment(), capture_output=True
    )
    assert done.returncode == -signal.SIGKILL and not (out / "lora").exists()
    assert (out / "checkpoints" / "checkpoint-6").exists()
    told = json.loads(run("tools.training.finetune_gemma", *arguments).splitlines()[-1])
    assert (told["from_step"], told["steps"]) == (4, STEPS)
    assert told["measured"] == course.told["measured"]
    for file in ("lora/adapter_model.safetensors", "merged/model.safetensors"):
        assert (out / file).read_bytes() == (course.out / file).read_bytes()


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [("--rank", "4", "rank"), ("--lr", "2e-3", "lr"), ("--reply", "long", "photos")],
)
def test_train_different_course_does_not_resume(
    option: str, value: str, told: str, course: Course, gemma_models: GemmaModels
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(
            [
                str(course.photos),
                str(course.out),
                "--base",
                str(gemma_models.base),
                *SHORT,
                option,
                value,
            ]
        )
    assert str(stopped.value.code).startswith(
        f"finetune_gemma: out holds a training with another {told}: "
    )


def test_finetune_adapter_or_4_bit_base_is_refused(
    course: Course, gemma_models: GemmaModels, tmp_path: Path
) -> None:
    beside = tmp_path / "both"
    shutil.copytree(gemma_models.lora, beside / "lora")
    shutil.copytree(gemma_models.base, beside / gemma_models.base.name)
    for base, told in (
        (beside / "lora", "lora is an adapter itself"),
        (gemma_models.nf4, "nf4 is stored in 4 bits"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main([str(course.photos), str(tmp_path / "out"), "--base", str(base), "--steps", "1"])
        assert str(stopped.value.code).startswith(f"finetune_gemma: {told}")


def test_finetune_bad_names_and_photos_fail_before_training(
    gemma_models: GemmaModels, tmp_path: Path
) -> None:
    file = own(tmp_path, row(), row(image_path="broken.jpg", bittings=[1, 2, 3, 4, 5]))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    for options, told in (
        (["--version", "no version"], "manifest.toml: version"),
        (["--held-out", "0.5"], "broken.jpg: This is not a picture"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main([str(file), str(tmp_path / "out"), "--base", str(gemma_models.base), *options])
        assert str(stopped.value.code).startswith(f"finetune_gemma: {told}")
    assert not (tmp_path / "out" / "checkpoints").exists()
