"""Train a LoRA adapter on a Gemma 3n base with transformers' Trainer, with checkpoints."""

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
    resolve_precision,
)
from tools.training.gemma_batches import Collator, Example
from tools.training.gemma_data import DataError

# Regular expression of the modules that get an adapter: only those of the language layers. The
# vision layers were trained on far more pictures than there are of keys, so they stay unchanged.
# The modules that are never quantised (readers/gemma/precision.py) are not matched either.
TARGETS = (
    r"model\.language_model\.layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
)
# Probability that the adapter's input values are set to zero during training. There are few
# photos, and each is used many times. A tiny model that was trained without dropout misread keys
# after its merged weights were rounded to 4 bits.
DROPOUT = 0.1
WARMUP_SHARE = 0.03  # fraction of the steps during which the learning rate rises to its peak
LOG_EVERY = 10  # steps between two reports of the loss
MAX_CHECKPOINTS = 2  # older checkpoints are deleted
_STATE, _RUN = "trainer_state.json", "run.json"


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Hyperparameters.

    Attributes:
        epochs: Passes over the training photos.
        steps: Number of steps; overrides `epochs`.
        rank: Rank of the adapter.
        batch: Photos per step.
        rate: Peak learning rate.
        save_every: Steps between checkpoints.
        seed: Random seed.
        precision: Precision of the base during training (auto, bf16, nf4 or fp32). The adapter
            is always trained in float32.
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
    """Result of one training run.

    Attributes:
        start_step: Step at which the run started: 0, or the step of the checkpoint.
        end_step: Step at which it ended.
        loss: Last reported loss, or None if none was reported.
    """

    start_step: int
    end_step: int
    loss: float | None


def import_libraries(backend: str) -> bool:
    """Import the large libraries in the required order. Return True if Unsloth is among them.

    Raises:
        ModelError: A library cannot be imported.
    """
    fast = choose(backend).name == "unsloth"
    if fast:
        # Unsloth must be imported before transformers, which it patches.
        with_unsloth.import_unsloth()
    prepare()
    return fast


def full_precision() -> str:
    """Return "bf16" on a GPU that supports bfloat16, else "fp32"."""
    device = find_device()
    return "bf16" if device.bf16 and device.name != "cpu" else "fp32"


def add_adapter(base: Checkpoint, config: TrainingConfig, fast: bool) -> Any:
    """Return the base model with a new adapter. Only the adapter can be trained.

    Args:
        base: Base model.
        config: Hyperparameters.
        fast: True to use Unsloth.

    Raises:
        ModelError: The base is an adapter itself, or its weights are quantised.
    """
    if base.kind == "gemma-lora":
        raise ModelError(f"{base.folder.name} is itself an adapter: the base must be a whole model")
    if base.quantised:
        raise ModelError(
            f"{base.folder.name} is stored in 4 bits: "
            "an adapter is trained for, and merged into, the full weights"
        )
    precision = resolve_precision(base, config.precision, find_device())
    return _with_unsloth(base, config, precision) if fast else _with_peft(base, config, precision)


def _with_peft(base: Checkpoint, config: TrainingConfig, precision: str) -> Any:
    from peft import LoraConfig, get_peft_model
    from transformers import set_seed

    model = TransformersBackend().load(base, precision).model
    set_seed(config.seed)
    lora_config = LoraConfig(
        r=config.rank,
        lora_alpha=config.rank,
        lora_dropout=DROPOUT,
        target_modules=TARGETS,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, lora_config)


def _with_unsloth(base: Checkpoint, config: TrainingConfig, precision: str) -> Any:
    from unsloth import FastVisionModel

    model, _ = FastVisionModel.from_pretrained(
        str(base.folder),
        dtype=compute_type(precision, find_device()),
        load_in_4bit=precision == "nf4",
        # Otherwise Unsloth replaces a model name that it knows by its own 4-bit version.
        use_exact_model_name=True,
        local_files_only=True,
        trust_remote_code=False,
    )
    model = FastVisionModel.get_peft_model(
        model,
        r=config.rank,
        lora_alpha=config.rank,
        lora_dropout=DROPOUT,
        target_modules=TARGETS,
        random_state=config.seed,
    )
    FastVisionModel.for_training(model)
    return model


def train(
    model: Any,
    examples: Sequence[Example],
    collator: Collator,
    config: TrainingConfig,
    work: Path,
    identity: Mapping[str, Any],
) -> Run:
    """Train up to the last step, continuing from the last checkpoint in `work`.

    Args:
        model: Model with the adapter.
        examples: Training examples.
        collator: Converter of examples to batches.
        config: Hyperparameters.
        work: Folder of the checkpoints.
        identity: Further values that must be equal to those of the interrupted run.

    Raises:
        DataError: `work` has checkpoints of a run with other values.
    """
    from transformers import Trainer

    _check_same_run(
        work,
        {
            **identity,
            "rank": config.rank,
            "batch": config.batch,
            "lr": config.rate,
            "seed": config.seed,
        },
    )
    last = last_checkpoint(work)
    trainer = Trainer(
        model=model,
        args=_arguments(config, work),
        data_collator=collator,
        train_dataset=list(examples),
    )
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return Run(
        _step(last) if last else 0, trainer.state.global_step, losses[-1] if losses else None
    )


def last_checkpoint(work: Path) -> Path | None:
    """Return the newest complete checkpoint: one with the state file, which is written last."""
    complete = [path.parent for path in work.glob(f"checkpoint-*/{_STATE}")]
    return max(complete, key=_step, default=None)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.partition("-")[2])


def _check_same_run(work: Path, values: Mapping[str, Any]) -> None:
    path = work / _RUN
    previous = json.loads(path.read_text()) if path.exists() else values
    changed = sorted(name for name in values if previous.get(name) != values[name])
    if changed:
        raise DataError(
            f"{work.parent.name} belongs to a run with another {changed[0]}: "
            f"use another folder, or delete {work.name} in it"
        )
    work.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=1))


def _arguments(config: TrainingConfig, work: Path) -> Any:
    from transformers import TrainingArguments

    device = find_device().name
    return TrainingArguments(
        output_dir=str(work),
        num_train_epochs=config.epochs,
        max_steps=config.steps or -1,
        per_device_train_batch_size=config.batch,
        learning_rate=config.rate,
        lr_scheduler_type="linear",
        warmup_steps=WARMUP_SHARE,
        weight_decay=0.0,
        bf16=device.startswith("cuda")
        and config.precision != "fp32"
        and full_precision() == "bf16",
        logging_steps=LOG_EVERY,
        save_steps=config.save_every,
        save_total_limit=MAX_CHECKPOINTS,
        # Otherwise the trainer may remove fields of an example that are not arguments of the model.
        remove_unused_columns=False,
        dataloader_pin_memory=device.startswith("cuda"),
        label_names=["labels"],
        report_to="none",
        seed=config.seed,
    )
