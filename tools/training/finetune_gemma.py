"""Fine-tunes Gemma 3n to read keys.

`python -m tools.training.finetune_gemma DATA OUT --base DIR` writes OUT/lora and OUT/merged. DATA
is a folder of tools.training.render, or a JSONL file of own photos with image_path, bittings,
keyway and brand. The same command resumes from the last checkpoint. The last line printed is JSON.
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
from keylike.readers.gemma.with_transformers import processor
from keylike.readers.model_files import sha256
from tools.training.gemma_batches import Collator, Lesson, frame
from tools.training.gemma_data import (
    REPLIES,
    DataError,
    keyways_of,
    part,
    read_shots,
    reply_for,
    shape_of,
)
from tools.training.gemma_folders import measured, save_adapter, save_merged, seal
from tools.training.gemma_lora import Course, Run, adapted, bring_in, full_precision, train

FINDER = Path(__file__).resolve().parents[2] / "models" / "caliper"


@dataclass(frozen=True, slots=True)
class Task:
    """One fine-tuning: the base, the photos in `taught` and `held`, and the adapter's manifest."""

    base: Checkpoint
    out: Path
    taught: Sequence[Shot]
    held: Sequence[Shot]
    manifest: GemmaManifest
    shape: str
    course: Course
    backend: str
    finder: KeyFinder


def finetune(task: Task) -> dict[str, Any]:
    """Train, write both folders, read the held-out photos, and return the JSON line.

    Raises:
        DataError: Photos or labels cannot be used.
        ModelError: The base cannot be used.
    """
    start = time.monotonic()
    fast = bring_in(task.backend)
    run = _train(task, fast)
    gc.collect()
    figures = _merge_and_measure(task)
    return {
        "model": f"{task.manifest.name}-{task.manifest.version}", "photos": len(task.taught), "from_step": run.begun, "steps": run.ended,
        "loss": run.loss, "measured": figures, "seconds": round(time.monotonic() - start, 1),
    }  # fmt: skip


def _train(task: Task, fast: bool) -> Run:
    """Train and save the adapter in OUT/lora.

    The trained model is freed on return, because the merged one needs its memory.
    """
    words = processor(task.base.words)
    side = int(words.image_processor.size["height"])
    framer = Framer(task.manifest.picture, task.finder)
    # Held-out photos too, so that a photo that cannot be opened fails before the training.
    squares = frame(
        _shown([*task.taught, *task.held], "Framing photos"), framer, side, task.out / "squares"
    )
    lessons = [
        Lesson(square, reply_for(shot, task.shape))
        for square, shot in zip(squares, task.taught, strict=False)
    ]
    model = adapted(task.base, task.course, fast)
    run = train(
        model,
        lessons,
        Collator(words, task.manifest.prompt),
        task.course,
        task.out / "checkpoints",
        _told(task, lessons),
    )
    save_adapter(model, words, task.out / "lora", task.base.folder.name)
    seal(task.out / "lora", task.manifest, None)
    return run


def _told(task: Task, lessons: Sequence[Lesson]) -> dict[str, str]:
    """Return what must not change between runs; lessons as a hash, since they hold codes."""
    listed = "\n".join(f"{lesson.square.name} {lesson.reply}" for lesson in lessons)
    return {"base": task.base.folder.name, "photos": hashlib.sha256(listed.encode()).hexdigest()}


def _merge_and_measure(task: Task) -> dict[str, Any]:
    """Load the adapter as a server does, merge and write it, and read the held-out photos."""
    lora, merged = task.out / "lora", task.out / "merged"
    loaded = _merged(task)
    save_merged(loaded.model, loaded.processor, merged)
    whole = task.manifest.model_copy(update={"kind": "gemma-merged", "base_files": {}})
    figures = measured(
        _judged(task, whole, loaded),
        len({(shot.keyway, shot.codes) for shot in task.held if shot.codes}),
    )
    seal(lora, task.manifest, figures)
    seal(merged, whole, figures)
    return figures


def _merged(task: Task) -> Loaded:
    try:
        loaded = choose(task.backend).load(
            inspect(task.out / "lora", base_model=task.base.folder, models=None), full_precision()
        )
    except ModelError as error:
        raise ModelError(f"lora/ is written, but could not be merged: {error}") from None
    return replace(loaded, model=loaded.model.merge_and_unload())


def _judged(task: Task, manifest: GemmaManifest, loaded: Loaded) -> Report:
    from keylike.readers.gemma.engine import Engine
    from keylike.readers.gemma.reader import GemmaReader

    info = ReaderInfo(manifest.name, manifest.version, manifest.kind, manifest.keyways, "")
    reader = GemmaReader(Engine(loaded, manifest, 1), info, manifest, task.finder)
    return judge(reader, _shown(task.held, "Reading held-out photos"), lambda _: None)


def _shown(found: Sequence[Shot], what: str) -> Iterable[Shot]:
    """Yield the shots one by one with a progress bar on standard error."""
    return track(found, description=what, console=Console(stderr=True), disable=not found)


def _task(options: argparse.Namespace) -> Task:
    if options.threads:
        _keep_to(options.threads)
    taught, held = part(read_shots(options.data), options.held_out)
    base = inspect(options.base, base_model=None, models=None)
    manifest = gemma_manifest(
        {
            "name": options.name, "version": options.version, "kind": "gemma-lora", "base": base.folder.name,
            "base_files": {path.name: sha256(path) for path in sorted(base.folder.glob("*.safetensors"))},
            "keyways": keyways_of(taught), "prompt": Prompt(), "picture": Picture(), "reply": shape_of(options.reply, taught),
        }
    )  # fmt: skip
    course = Course(
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
        base, options.out, taught, held, manifest, options.reply, course, options.backend, finder
    )


def _keep_to(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _whole(text: str) -> int:
    """Parse an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 is wanted")
    return int(text)


def _share(text: str) -> float:
    """Parse a number from 0 to below 1."""
    share = float(text)
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError("a share from 0 to below 1 is wanted")
    return share


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="a folder with labels.jsonl, or a JSONL file")
    parser.add_argument(
        "out",
        type=Path,
        help="gets lora/, merged/, and what it needs to go on: checkpoints/ and squares/",
    )
    parser.add_argument(
        "--base", type=Path, required=True, help="folder of the Gemma 3n to start from"
    )
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--steps", type=_whole, help="goes before --epochs")
    parser.add_argument("--rank", type=_whole, default=16, help="of the LoRA adapter")
    parser.add_argument("--batch", type=_whole, default=4, help="photos a step")
    parser.add_argument("--lr", type=float, default=2e-4, help="greatest learning rate")
    parser.add_argument(
        "--held-out",
        type=_share,
        default=0.1,
        help="share of the keys that is kept for measuring; 0 for none",
    )
    parser.add_argument("--name", default="gemma-3n-keys")
    parser.add_argument("--version", default="1.0.0")
    parser.add_argument("--reply", choices=tuple(REPLIES), default="short")
    parser.add_argument(
        "--save-every", type=_whole, default=25, help="steps from one checkpoint to the next (25)"
    )
    parser.add_argument(
        "--threads", type=_whole, help="of PyTorch on the processor; a tiny model wants one"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", choices=("auto", "transformers", "unsloth"), default="auto")
    parser.add_argument(
        "--precision",
        choices=("auto", "bf16", "fp32", "nf4"),
        default="auto",
        help="how the base is held in training",
    )
    parser.add_argument(
        "--finder", type=Path, default=FINDER, help="the caliper that finds the key on a photo"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options = _parser().parse_args(arguments)
    configure_image_libraries()
    try:
        told = finetune(_task(options))
    except (DataError, ModelError) as error:
        sys.exit(f"finetune_gemma: {error}")
    except KeyboardInterrupt:
        saved = any((options.out / "checkpoints").glob("checkpoint-*"))
        then = (
            "goes on from the last checkpoint"
            if saved
            else f"begins anew, as none was saved yet (--save-every {options.save_every})"
        )
        sys.exit(f"finetune_gemma: stopped; the same command {then}")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
