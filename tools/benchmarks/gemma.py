"""Compare Gemma's slot decoding with plain generation: `python -m tools.benchmarks.gemma`.

Slot decoding asks the model only for the tokens of the keyway and the cuts. Plain generation calls
`generate` once per photo for 80 new tokens, greedily, and searches the text for the code. A second
variant of plain generation stops when the model ends its reply. All methods get the same tensors.
The times do not include cropping the photo and converting it to tensors. Without --model, the
benchmark first builds a tiny Gemma 3n with as many layers as the real one, and trains it to give
the long reply.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from keylike.images.libraries import configure_image_libraries
from keylike.images.photo import open_photo
from keylike.readers.caliper.reader import CaliperReader
from keylike.readers.evaluation import Shot, shots
from keylike.readers.gemma.backends import Loaded, choose
from keylike.readers.gemma.folder import Checkpoint, inspect
from keylike.readers.gemma.manifest import GemmaManifest
from keylike.readers.gemma.picture import Framer
from keylike.readers.gemma.prompt import prompt_inputs
from keylike.readers.gemma.search import read_slots
from keylike.readers.gemma.slots import build_layout, end_of_turn
from keylike.readers.reply import parse_reply
from tools.benchmarks.tiny_checkpoint import tiny_checkpoint

GENERATED_TOKENS = 80  # new tokens per photo with plain generation
# Keyway and depths of one photo, or None if no code was found in the reply.
Code = tuple[str | None, tuple[int, ...]] | None


@dataclass(frozen=True, slots=True)
class Method:
    """A decoding method. `read` returns the codes of a batch and the number of forward passes."""

    name: str
    read: Callable[[Any], tuple[list[Code], int]]


def generate_method(loaded: Loaded, manifest: GemmaManifest, *, stops: bool) -> Method:
    """Build the method that calls `generate` once and parses the text.

    `stops` makes it stop when the model ends its reply.
    """
    tokenizer = loaded.processor.tokenizer
    end_tokens = [int(tokenizer.eos_token_id), end_of_turn(tokenizer)]

    def read(inputs: Any) -> tuple[list[Code], int]:
        how = {
            "eos_token_id": end_tokens if stops else None,
            "pad_token_id": tokenizer.pad_token_id,
        }
        output = loaded.model.generate(
            **inputs, max_new_tokens=GENERATED_TOKENS, do_sample=False, **how
        )
        new = output[:, inputs["input_ids"].shape[1] :]
        replies = [
            parse_reply(
                tokenizer.decode(_before_end_of_turn(row, end_tokens), skip_special_tokens=True),
                manifest.keyways,
            )
            for row in new.tolist()
        ]
        return [(reply.keyway, reply.digits) if reply else None for reply in replies], new.shape[1]

    return Method("generate_until_stop" if stops else f"generate_{GENERATED_TOKENS}", read)


def _before_end_of_turn(tokens: list[int], ends: Sequence[int]) -> list[int]:
    """Return the tokens before the first token in `ends`."""
    return tokens[
        : next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
    ]


def slot_method(loaded: Loaded, manifest: GemmaManifest) -> Method:
    """Build the method that decodes the slots of the reply."""
    layout = build_layout(manifest, loaded.processor.tokenizer)

    def read(inputs: Any) -> tuple[list[Code], int]:
        readings = read_slots(loaded.model, inputs, layout, manifest.reply.beams)
        # One pass for the prompt, one for the keyway if there is more than one, and one for each
        # cut after the first.
        passes = (
            1
            + (len(layout.options) > 1)
            + max((len(one.choices[0].codes) for one in readings if one.choices), default=1)
            - 1
        )
        return [
            (one.choices[0].keyway, one.choices[0].codes) if one.choices else None
            for one in readings
        ], passes

    return Method("slots", read)


@dataclass
class MethodResult:
    """Results of one method.

    Attributes:
        ms: Milliseconds per photo in each round.
        correct: Number of correct codes.
        passes: Largest number of forward passes for one batch.
    """

    ms: list[float]
    correct: int
    passes: int


def compare(
    methods: Sequence[Method], batches: Sequence[tuple[Any, list[Shot]]], rounds: int
) -> dict[str, MethodResult]:
    """Run every method on every batch in each round. The first round is an unmeasured warm-up."""
    results = {method.name: MethodResult([], 0, 0) for method in methods}
    for round_number in range(rounds + 1):
        for method in methods:
            result, correct, spent = results[method.name], 0, 0.0
            for inputs, labelled in batches:
                start = time.perf_counter()
                codes, passes = method.read(inputs)
                spent += time.perf_counter() - start
                correct += sum(
                    code == (shot.keyway, shot.codes)
                    for code, shot in zip(codes, labelled, strict=True)
                )
                result.passes = max(result.passes, passes)
            result.correct = correct
            if round_number:
                result.ms.append(spent * 1e3 / sum(len(labelled) for _, labelled in batches))
    return results


def prepare(
    checkpoint: Checkpoint, loaded: Loaded, photos: Sequence[Shot], batch: int
) -> list[tuple[Any, list[Shot]]]:
    """Return batches: the input tensors of the photos, and the photos with their labels."""
    manifest = checkpoint.manifest
    framer = Framer(manifest.picture, CaliperReader.load(Path("models/caliper")))
    side = manifest.picture.side or int(loaded.processor.image_processor.size["height"])
    squares = [
        framer.frame(open_photo(shot.path.read_bytes()).pixels, side).square for shot in photos
    ]
    batches = []
    for start in range(0, len(photos), batch):
        inputs = prompt_inputs(
            loaded.processor, manifest.prompt, squares[start : start + batch]
        ).to(loaded.device)
        inputs["pixel_values"] = inputs["pixel_values"].to(loaded.model.dtype)
        batches.append((inputs, list(photos[start : start + batch])))
    return batches


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", type=Path, help="a LoRA or merged model folder; a tiny model is built by default"
    )
    parser.add_argument("--base", type=Path, help="the base model of a LoRA folder")
    parser.add_argument(
        "--photos",
        type=Path,
        help="folder with labels.jsonl and images/; default: the tiny model's training photos",
    )
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "nf4", "fp32"))
    parser.add_argument("--backend", default="auto", choices=("auto", "transformers", "unsloth"))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="PyTorch CPU threads")
    parser.add_argument(
        "--work", type=Path, default=Path("work/bench-gemma"), help="folder for the tiny model"
    )
    options = parser.parse_args()
    configure_image_libraries()
    if options.model and not options.photos:
        parser.error("--model needs --photos")
    model, photos = (
        (options.model, options.photos) if options.model else tiny_checkpoint(options.work)
    )
    checkpoint = inspect(model, base_model=options.base, models=Path("models"))
    loaded = choose(options.backend).load(checkpoint, options.precision)
    import torch

    torch.set_num_threads(options.threads)
    keys = [
        shot for shot in shots(photos) if shot.keyway in checkpoint.manifest.keyways and shot.codes
    ]
    batches = prepare(checkpoint, loaded, keys, options.batch)
    manifest = checkpoint.manifest
    methods = [
        generate_method(loaded, manifest, stops=False),
        generate_method(loaded, manifest, stops=True),
        slot_method(loaded, manifest),
    ]
    print_results(compare(methods, batches, options.rounds), len(keys), loaded, options.batch)


def print_results(
    results: dict[str, MethodResult], photos: int, loaded: Loaded, batch: int
) -> None:
    """Print a table and one line of JSON."""
    table = Table("", "median ms per photo", "min", "max", "passes", "correct codes")
    figures = {}
    for name, result in results.items():
        median = statistics.median(result.ms)
        times = (f"{ms:.1f}" for ms in (median, min(result.ms), max(result.ms)))
        table.add_row(name, *times, str(result.passes), f"{result.correct} of {photos}")
        figures[name] = {"ms": round(median, 2), "passes": result.passes, "right": result.correct}
    Console().print(table)
    slots, generated, stopped = (
        figures[name]["ms"] for name in ("slots", *(name for name in figures if name != "slots"))
    )
    how = {
        "device": loaded.device,
        "precision": loaded.precision,
        "backend": loaded.backend,
        "batch": batch,
        "photos": photos,
    }
    print(
        json.dumps(
            {
                **how,
                **figures,
                "times_faster": round(generated / slots, 2),
                "times_faster_than_stopping": round(stopped / slots, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
