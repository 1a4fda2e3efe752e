"""Trains a LoRA adapter on a Gemma 3n base and resumes from the last checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keylike.errors import ModelError
from keylike.readers.gemma import with_unsloth
from keylike.readers.gemma.backends import choose
from keylike.readers.gemma.folder import Checkpoint
from keylike.readers.gemma.precision import find_device
from keylike.readers.gemma.with_transformers import (
    TransformersBackend,
    compute_type,
    prepare,
    settle,
)
from tools.training.gemma_batches import Collator, Lesson
from tools.training.gemma_data import DataError

# Only language layers: the vision tower has seen far more pictures than there are of keys, and only
# naming depths is new. This also keeps the adapter out of parts that are never stored in 4 bits
# (readers/gemma/precision.py).
TARGETS = (
    r"model\.language_model\.layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
)
# Few photos are seen many times. Dropout also makes the merged weights robust to 4-bit rounding: a
# tiny model misread without it.
DROPOUT = 0.1
WARM_SHARE = 0.03
TELL_EVERY = 10
CHECKPOINTS_KEPT = 2
_STATE, _RUN = "trainer_state.json", "run.json"


@dataclass(frozen=True, slots=True)
class Course:
    """The parameters of a training.

    Attributes include `steps`, which overrides `epochs`, `batch` in photos per step, and a checkpoint
    every `save_every` steps. `precision` (auto, bf16, nf4 or fp32) is that of the base. The adapter is
    always float32.
    """

    epochs: float
    steps: int | None
    rank: int
    batch: int
    rate: float
    save_every: int
    seed: int
    precision: str


@dataclass(frozen=True, slots=True)
class Run:
    """The first and last step of a run (first is 0 or a checkpoint's), and the last loss."""

    begun: int
    ended: int
    loss: float | None


def bring_in(backend: str) -> bool:
    """Import the large libraries in the required order; return True if Unsloth is used.

    Raises:
        ModelError: One of them cannot be imported.
    """
    fast = choose(backend).name == "unsloth"
    if fast:
        # Unsloth replaces parts of transformers, so it comes first.
        with_unsloth.bring_in()
    prepare()
    return fast


def full_precision() -> str:
    """Return bf16 on a GPU that supports it, else fp32."""
    device = find_device()
    return "bf16" if device.bf16 and device.name != "cpu" else "fp32"


def adapted(base: Checkpoint, course: Course, fast: bool) -> Any:
    """Return the base with a fresh adapter, the only part that is trained.

    Raises:
        ModelError: The base cannot be loaded.
    """
    if base.kind == "gemma-lora":
        raise ModelError(f"{base.folder.name} is an adapter itself: the base must be a whole model")
    if base.quantised:
        raise ModelError(
            f"{base.folder.name} is stored in 4 bits: an adapter is trained for, and merged into, the full weights"
        )
    held = settle(base, course.precision, find_device())
    return _by_unsloth(base, course, held) if fast else _by_peft(base, course, held)


def _by_peft(base: Checkpoint, course: Course, held: str) -> Any:
    from peft import LoraConfig, get_peft_model
    from transformers import set_seed

    model = TransformersBackend().load(base, held).model
    set_seed(course.seed)
    shape = LoraConfig(
        r=course.rank,
        lora_alpha=course.rank,
        lora_dropout=DROPOUT,
        target_modules=TARGETS,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, shape)


def _by_unsloth(base: Checkpoint, course: Course, held: str) -> Any:
    from unsloth import FastVisionModel

    model, _ = FastVisionModel.from_pretrained(
        str(base.folder),
        dtype=compute_type(held, find_device()),
        load_in_4bit=held == "nf4",
        # Otherwise Unsloth swaps a known name for its own 4-bit repository.
        use_exact_model_name=True,
        local_files_only=True,
        trust_remote_code=False,
    )
    model = FastVisionModel.get_peft_model(
        model,
        r=course.rank,
        lora_alpha=course.rank,
        lora_dropout=DROPOUT,
        target_modules=TARGETS,
        random_state=course.seed,
    )
    FastVisionModel.for_training(model)
    return model


def train(
    model: Any,
    lessons: Sequence[Lesson],
    collator: Collator,
    course: Course,
    work: Path,
    told: Mapping[str, Any],
) -> Run:
    """Train up to the last step, with checkpoints in `work`.

    `told` identifies the training and must equal that of the last checkpoint.

    Raises:
        DataError: It differs.
    """
    from transformers import Trainer

    _check_same(
        work,
        {
            **told,
            "rank": course.rank,
            "batch": course.batch,
            "lr": course.rate,
            "seed": course.seed,
        },
    )
    last = last_checkpoint(work)
    trainer = Trainer(
        model=model,
        args=_arguments(course, work),
        data_collator=collator,
        train_dataset=list(lessons),
    )
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return Run(
        _step(last) if last else 0, trainer.state.global_step, losses[-1] if losses else None
    )


def last_checkpoint(work: Path) -> Path | None:
    """Return the newest complete checkpoint; its state file is written last."""
    whole = [path.parent for path in work.glob(f"checkpoint-*/{_STATE}")]
    return max(whole, key=_step, default=None)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.partition("-")[2])


def _check_same(work: Path, told: Mapping[str, Any]) -> None:
    path = work / _RUN
    before = json.loads(path.read_text()) if path.exists() else told
    unlike = sorted(name for name in told if before.get(name) != told[name])
    if unlike:
        raise DataError(
            f"{work.parent.name} holds a training with another {unlike[0]}: name another folder, or delete {work.name} in it"
        )
    work.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1))


def _arguments(course: Course, work: Path) -> Any:
    from transformers import TrainingArguments

    device = find_device().name
    return TrainingArguments(
        output_dir=str(work),
        num_train_epochs=course.epochs,
        max_steps=course.steps or -1,
        per_device_train_batch_size=course.batch,
        learning_rate=course.rate,
        lr_scheduler_type="linear",
        warmup_steps=WARM_SHARE,
        weight_decay=0.0,
        bf16=device.startswith("cuda")
        and course.precision != "fp32"
        and full_precision() == "bf16",
        logging_steps=TELL_EVERY,
        save_steps=course.save_every,
        save_total_limit=CHECKPOINTS_KEPT,
        # The collator needs whole lessons, not columns.
        remove_unused_columns=False,
        dataloader_pin_memory=device.startswith("cuda"),
        label_names=["labels"],
        report_to="none",
        seed=course.seed,
    )
