"""Trains a LoRA adapter on a Gemma 3n base with transformers' Trainer, and goes on from the last checkpoint where there is one."""

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

# The language layers alone: what Gemma sees it has learnt from far more pictures than anyone has of keys; what is new is to say depths.
# It also keeps the adapter away from the parts that are never held in 4 bits (readers/gemma/precision.py).
TARGETS = (
    r"model\.language_model\.layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
)
# Few photos are seen many times. It also leaves room for rounding the merged weights to 4 bits: without it a tiny model misread then.
DROPOUT = 0.1
WARM_SHARE = 0.03
TELL_EVERY = 10
CHECKPOINTS_KEPT = 2
_STATE, _RUN = "trainer_state.json", "run.json"


@dataclass(frozen=True, slots=True)
class Course:
    """How to train. `steps` goes before `epochs`; `batch` photos a step; a checkpoint every `save_every` steps.

    `precision`: how the base is held meanwhile (auto, bf16, nf4 or fp32); the adapter itself is always in 32 bits.
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
    """The step a training began at (0, or a checkpoint's) and ended at, and the last loss it told."""

    begun: int
    ended: int
    loss: float | None


def bring_in(backend: str) -> bool:
    """Imports the large libraries in the order they need; whether Unsloth is among them. Raises ModelError."""
    fast = choose(backend).name == "unsloth"
    if fast:
        # Before transformers, parts of which it replaces.
        with_unsloth.bring_in()
    prepare()
    return fast


def full_precision() -> str:
    """bf16 on a GPU that computes in it, else fp32."""
    device = find_device()
    return "bf16" if device.bf16 and device.name != "cpu" else "fp32"


def adapted(base: Checkpoint, course: Course, fast: bool) -> Any:
    """The base with a fresh adapter, which alone is trained; `fast` by Unsloth. Raises ModelError."""
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
        # Or a known name is exchanged for Unsloth's own 4-bit repository.
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
    """Trains up to the course's last step, with checkpoints in `work`; `told` is what else must be as it was at the last one.

    Raises DataError where it is not.
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
    """The newest checkpoint that was written to its end; the state is written last."""
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
        # Lessons are no table of columns; the collator wants them whole.
        remove_unused_columns=False,
        dataloader_pin_memory=device.startswith("cuda"),
        label_names=["labels"],
        report_to="none",
        seed=course.seed,
    )
