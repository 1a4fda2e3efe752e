"""Times Gemma's slot decoding against the older way, on one model and the same photos: `python -m tools.benchmarks.gemma`.

The older way is one generate call of 80 new tokens for each photo, greedy, its text searched for the code; timed as well is the same call
where it may stop when the model ends its turn. All ways get the same tensors; framing and the processor are timed for none. Without
--model a tiny Gemma 3n, as deep as the real one, is built and taught the longer reply first.
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
from keylike.readers.gemma.slots import end_of_turn, lay_out
from keylike.readers.reply import parse_reply
from tools.benchmarks.tiny_checkpoint import tiny_checkpoint

OLDER_TOKENS = 80
Code = tuple[str | None, tuple[int, ...]] | None


@dataclass(frozen=True, slots=True)
class Way:
    """One way to read a batch of inputs: its codes, and how many forward passes it took."""

    name: str
    read: Callable[[Any], tuple[list[Code], int]]


def older_way(loaded: Loaded, manifest: GemmaManifest, *, stops: bool) -> Way:
    """One generate call, then the text up to the end of the turn."""
    tokenizer = loaded.processor.tokenizer
    ends = [int(tokenizer.eos_token_id), end_of_turn(tokenizer)]

    def read(inputs: Any) -> tuple[list[Code], int]:
        how = {"eos_token_id": ends if stops else None, "pad_token_id": tokenizer.pad_token_id}
        made = loaded.model.generate(**inputs, max_new_tokens=OLDER_TOKENS, do_sample=False, **how)
        new = made[:, inputs["input_ids"].shape[1] :]
        replies = [
            parse_reply(
                tokenizer.decode(_turn(row, ends), skip_special_tokens=True), manifest.keyways
            )
            for row in new.tolist()
        ]
        return [(reply.keyway, reply.digits) if reply else None for reply in replies], new.shape[1]

    return Way("generate_until_stop" if stops else f"generate_{OLDER_TOKENS}", read)


def _turn(tokens: list[int], ends: Sequence[int]) -> list[int]:
    """What comes before the end of the turn."""
    return tokens[
        : next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
    ]


def slot_way(loaded: Loaded, manifest: GemmaManifest) -> Way:
    """The slots."""
    layout = lay_out(manifest, loaded.processor.tokenizer)

    def read(inputs: Any) -> tuple[list[Code], int]:
        heard = read_slots(loaded.model, inputs, layout, manifest.reply.beams)
        # The prompt's pass, the keyways' (where there is a choice), and one for each cut after the first.
        passes = (
            1
            + (len(layout.options) > 1)
            + max((len(one.choices[0].codes) for one in heard if one.choices), default=1)
            - 1
        )
        return [
            (one.choices[0].keyway, one.choices[0].codes) if one.choices else None for one in heard
        ], passes

    return Way("slots", read)


@dataclass
class Tally:
    """What one way did: milliseconds a photo, round by round, right codes and passes."""

    ms: list[float]
    right: int
    passes: int


def race(
    ways: Sequence[Way], batches: Sequence[tuple[Any, list[Shot]]], rounds: int
) -> dict[str, Tally]:
    """Every way over every batch, taking turns, after one round that does not count."""
    tallies = {way.name: Tally([], 0, 0) for way in ways}
    for turn in range(rounds + 1):
        for way in ways:
            tally, right, spent = tallies[way.name], 0, 0.0
            for inputs, labelled in batches:
                start = time.perf_counter()
                codes, passes = way.read(inputs)
                spent += time.perf_counter() - start
                right += sum(
                    code == (shot.keyway, shot.codes)
                    for code, shot in zip(codes, labelled, strict=True)
                )
                tally.passes = max(tally.passes, passes)
            tally.right = right
            if turn:
                tally.ms.append(spent * 1e3 / sum(len(labelled) for _, labelled in batches))
    return tallies


def prepare(
    checkpoint: Checkpoint, loaded: Loaded, photos: Sequence[Shot], batch: int
) -> list[tuple[Any, list[Shot]]]:
    """The photos as the processor's tensors, `batch` at a time."""
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
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", type=Path, help="a LoRA or merged folder; without it a tiny one is built"
    )
    parser.add_argument("--base", type=Path, help="the base of a LoRA")
    parser.add_argument(
        "--photos",
        type=Path,
        help="labels.jsonl and images/; without it what the tiny model was taught",
    )
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "nf4", "fp32"))
    parser.add_argument("--backend", default="auto", choices=("auto", "transformers", "unsloth"))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch, on the CPU")
    parser.add_argument(
        "--work", type=Path, default=Path("work/bench-gemma"), help="for the tiny model"
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
    ways = [
        older_way(loaded, manifest, stops=False),
        older_way(loaded, manifest, stops=True),
        slot_way(loaded, manifest),
    ]
    tell(race(ways, batches, options.rounds), len(keys), loaded, options.batch)


def tell(tallies: dict[str, Tally], photos: int, loaded: Loaded, batch: int) -> None:
    """A table, and one line of JSON."""
    table = Table("", "ms a photo (median)", "least", "most", "passes", "codes right")
    figures = {}
    for name, tally in tallies.items():
        median = statistics.median(tally.ms)
        times = (f"{ms:.1f}" for ms in (median, min(tally.ms), max(tally.ms)))
        table.add_row(name, *times, str(tally.passes), f"{tally.right} of {photos}")
        figures[name] = {"ms": round(median, 2), "passes": tally.passes, "right": tally.right}
    Console().print(table)
    slots, older, stopped = (
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
                "times_faster": round(older / slots, 2),
                "times_faster_than_stopping": round(stopped / slots, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
