"""Fine-tune a Gemma 3n to read keys.

`python -m tools.training.finetune_gemma DATA OUT --base DIR` writes the adapter to OUT/lora and
the merged model to OUT/merged. DATA is a folder written by tools.training.render, or a JSONL file
with image_path, bittings, keyway and brand on each line. After an interruption, the same command
continues from the last checkpoint. The last line of output is a JSON object with the results.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from keylike.errors import ModelError
from keylike.images.libraries import configure_image_libraries
from keylike.readers.caliper.reader import CaliperReader
from keylike.readers.contract import ReaderInfo
from keylike.readers.evaluation import Report, Shot, judge
from keylike.readers.gemma.backends import Loaded, choose
from keylike.readers.gemma.folder import Checkpoint, inspect
from keylike.readers.gemma.manifest import GemmaManifest, Picture, Prompt, gemma_manifest
from keylike.readers.gemma.picture import Framer, KeyFinder
from keylike.readers.gemma.with_transformers import load_processor
from keylike.readers.model_files import sha256
from tools.training.gemma_batches import Collator, Example, frame
from tools.training.gemma_data import (
    REPLIES,
    DataError,
    keyways_of,
    read_shots,
    reply_for,
    reply_shape,
    split_by_key,
)
from tools.training.gemma_folders import measured, save_adapter, save_merged, write_manifest
from tools.training.gemma_lora import (
    Run,
    TrainingConfig,
    add_adapter,
    full_precision,
    import_libraries,
    train,
)

# Folder of the embedded reader, which locates the key in a photo.
FINDER = Path(__file__).resolve().parents[2] / "models" / "caliper"


@dataclass(frozen=True, slots=True)
class Task:
    """Description of one fine-tuning run.

    Attributes:
        base: Base model.
        out: Output folder.
        train_shots: Photos to train on.
        held_out: Photos on which the result is measured.
        manifest: Manifest of the adapter.
        shape: Reply format, "short" or "long".
        config: Hyperparameters.
        backend: Name of the backend.
        finder: Reader that locates the key in a photo.
    """

    base: Checkpoint
    out: Path
    train_shots: Sequence[Shot]
    held_out: Sequence[Shot]
    manifest: GemmaManifest
    shape: str
    config: TrainingConfig
    backend: str
    finder: KeyFinder


def finetune(task: Task) -> dict[str, Any]:
    """Train the adapter, write both models and measure the merged one on the held-out photos.

    Returns:
        The results that the command prints as JSON.

    Raises:
        DataError: A photo is invalid, or the output folder belongs to another run.
        ModelError: The base model cannot be fine-tuned, or the result cannot be loaded.
    """
    start = time.monotonic()
    fast = import_libraries(task.backend)
    run = _train(task, fast)
    gc.collect()
    metrics = _merge_and_measure(task)
    return {
        "model": f"{task.manifest.name}-{task.manifest.version}",
        "photos": len(task.train_shots),
        "from_step": run.start_step,
        "steps": run.end_step,
        "loss": run.loss,
        "measured": metrics,
        "seconds": round(time.monotonic() - start, 1),
    }


def _train(task: Task, fast: bool) -> Run:
    """Train the adapter and write it to OUT/lora.

    The trained model must be freed when this function returns, because merging needs the memory.
    """
    processor = load_processor(task.base.tokenizer_folder)
    side = int(processor.image_processor.size["height"])
    framer = Framer(task.manifest.picture, task.finder)
    # Includes the held-out photos, so that an invalid photo is reported before training.
    squares = frame(
        _with_progress([*task.train_shots, *task.held_out], "Framing photos"),
        framer,
        side,
        task.out / "squares",
    )
    examples = [
        Example(square, reply_for(shot, task.shape))
        for square, shot in zip(squares, task.train_shots, strict=False)
    ]
    model = add_adapter(task.base, task.config, fast)
    run = train(
        model,
        examples,
        Collator(processor, task.manifest.prompt),
        task.config,
        task.out / "checkpoints",
        _run_identity(task, examples),
    )
    save_adapter(model, processor, task.out / "lora", task.base.folder.name)
    write_manifest(task.out / "lora", task.manifest, None)
    return run


def _run_identity(task: Task, examples: Sequence[Example]) -> dict[str, str]:
    """Return the values that must be equal when an interrupted run continues.

    The examples are hashed, because the values are written to a file and examples contain codes.
    """
    description = "\n".join(f"{example.square.name} {example.reply}" for example in examples)
    return {
        "base": task.base.folder.name,
        "photos": hashlib.sha256(description.encode()).hexdigest(),
    }


def _merge_and_measure(task: Task) -> dict[str, Any]:
    """Merge the adapter into the base, write the merged model, and measure it.

    The adapter is loaded from its folder as a server loads it, so a broken folder is noticed.
    """
    lora, merged = task.out / "lora", task.out / "merged"
    loaded = _merged(task)
    save_merged(loaded.model, loaded.processor, merged)
    manifest = task.manifest.model_copy(update={"kind": "gemma-merged", "base_files": {}})
    metrics = measured(
        _evaluate(task, manifest, loaded),
        len({(shot.keyway, shot.codes) for shot in task.held_out if shot.codes}),
    )
    write_manifest(lora, task.manifest, metrics)
    write_manifest(merged, manifest, metrics)
    return metrics


def _merged(task: Task) -> Loaded:
    try:
        loaded = choose(task.backend).load(
            inspect(task.out / "lora", base_model=task.base.folder, models=None), full_precision()
        )
    except ModelError as error:
        raise ModelError(f"lora/ was written but could not be merged: {error}") from None
    return replace(loaded, model=loaded.model.merge_and_unload())


def _evaluate(task: Task, manifest: GemmaManifest, loaded: Loaded) -> Report:
    from keylike.readers.gemma.model_runner import ModelRunner
    from keylike.readers.gemma.reader import GemmaReader

    info = ReaderInfo(manifest.name, manifest.version, manifest.kind, manifest.keyways, "")
    reader = GemmaReader(ModelRunner(loaded, manifest, 1), info, manifest, task.finder)
    return judge(reader, _with_progress(task.held_out, "Reading held-out photos"), lambda _: None)


def _with_progress(shots: Sequence[Shot], description: str) -> Iterable[Shot]:
    """Yield the photos with a progress bar on standard error."""
    return track(shots, description=description, console=Console(stderr=True), disable=not shots)


def _task(options: argparse.Namespace) -> Task:
    if options.threads:
        _set_threads(options.threads)
    train_shots, held_out = split_by_key(read_shots(options.data), options.held_out)
    base = inspect(options.base, base_model=None, models=None)
    weights = sorted(base.folder.glob("*.safetensors"))
    manifest = gemma_manifest(
        {
            "name": options.name,
            "version": options.version,
            "kind": "gemma-lora",
            "base": base.folder.name,
            "base_files": {path.name: sha256(path) for path in weights},
            "keyways": keyways_of(train_shots),
            "prompt": Prompt(),
            "picture": Picture(),
            "reply": reply_shape(options.reply, train_shots),
        }
    )
    config = TrainingConfig(
        options.epochs,
        options.steps,
        options.rank,
        options.batch,
        options.lr,
        options.save_every,
        options.seed,
        options.precision,
    )
    finder = CaliperReader.load(options.finder)
    return Task(
        base,
        options.out,
        train_shots,
        held_out,
        manifest,
        options.reply,
        config,
        options.backend,
        finder,
    )


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _positive_int(text: str) -> int:
    """Parse an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be an integer from 1")
    return int(text)


def _share(text: str) -> float:
    """Parse a fraction of at least 0 and below 1."""
    share = float(text)
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError("must be at least 0 and below 1")
    return share


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with labels.jsonl, or a JSONL file")
    parser.add_argument(
        "out",
        type=Path,
        help="output folder for lora/, merged/, checkpoints/ and squares/",
    )
    parser.add_argument(
        "--base", type=Path, required=True, help="folder of the Gemma 3n base model"
    )
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--steps", type=_positive_int, help="number of steps; overrides --epochs")
    parser.add_argument("--rank", type=_positive_int, default=16, help="rank of the LoRA adapter")
    parser.add_argument("--batch", type=_positive_int, default=4, help="photos per step")
    parser.add_argument("--lr", type=float, default=2e-4, help="peak learning rate")
    parser.add_argument(
        "--held-out",
        type=_share,
        default=0.1,
        help="share of the keys kept for measuring; 0 for none",
    )
    parser.add_argument("--name", default="gemma-3n-keys")
    parser.add_argument("--version", default="1.0.0")
    parser.add_argument("--reply", choices=tuple(REPLIES), default="short")
    parser.add_argument(
        "--save-every", type=_positive_int, default=25, help="steps between checkpoints (25)"
    )
    parser.add_argument(
        "--threads",
        type=_positive_int,
        help="PyTorch threads on the CPU; one is best for a tiny model",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", choices=("auto", "transformers", "unsloth"), default="auto")
    parser.add_argument(
        "--precision",
        choices=("auto", "bf16", "fp32", "nf4"),
        default="auto",
        help="precision of the base during training",
    )
    parser.add_argument(
        "--finder", type=Path, default=FINDER, help="folder of the caliper that locates the key"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    configure_image_libraries()
    try:
        result = finetune(_task(options))
    except (DataError, ModelError) as error:
        sys.exit(f"finetune_gemma: {error}")
    except KeyboardInterrupt:
        saved = any((options.out / "checkpoints").glob("checkpoint-*"))
        outlook = (
            "continues from the last checkpoint"
            if saved
            else f"starts again, because none was saved yet (--save-every {options.save_every})"
        )
        sys.exit(f"finetune_gemma: stopped; the same command {outlook}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
