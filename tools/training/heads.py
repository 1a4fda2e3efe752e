"""Trains the measurer's last layers on stored features of its trunk.

`python -m tools.training.heads store CHECKPOINT DATA OUT --seed 1 --count 8000` runs the trunk over
drawn samples once. `... train CHECKPOINT OUT --steps 3000` then trains the layers after it, which
takes a thousandth of the time per sample, and writes them back into the checkpoint. This is where
the pose features meet the picture's, so it pays to see many more poses than the trunk can.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from tools.training.draw import Array
from tools.training.nets import Measurer, state
from tools.training.train import Batches, answers_loss

BATCH, STORE_BATCH = 256, 32
HELD = 0.1  # share of the stored samples that only measure
RATE, DECAY = 1e-3, 1e-2
TARGETS = ("depths", "visible", "kind", "fit", "corners", "known", "pose")
LAYERS = ("summary", "weigh", "fold", "out")


def store(checkpoint: Path, data: Path, out: Path, seed: int, count: int) -> None:
    """Write features and targets of `count` samples to OUT/<seed>.npz."""
    net = Measurer()
    net.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["average"])
    net.eval()
    batches = Batches("measurer", data, STORE_BATCH, seed, 1)
    rows: dict[str, list[Array]] = {name: [] for name in ("features", *TARGETS)}
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for _ in range(-(-count // STORE_BATCH)):
            x, targets = batches.next(torch.device("cpu"))
            rows["features"].append(net.look(x)[2].float().numpy().astype(np.float16))
            for name in TARGETS:
                rows[name].append(targets[name].numpy())
    out.mkdir(parents=True, exist_ok=True)
    joined: dict[str, Any] = {name: np.concatenate(row) for name, row in rows.items()}
    np.savez(out / f"{seed}.npz", **joined)


def load(folder: Path) -> dict[str, Tensor]:
    """Return all stored samples."""
    files = [np.load(path) for path in sorted(folder.glob("*.npz"))]
    if not files:
        raise FileNotFoundError(f"nothing stored in {folder}")
    joined = {name: np.concatenate([file[name] for file in files]) for name in files[0].files}
    return {name: torch.from_numpy(values.astype(np.float32)) for name, values in joined.items()}


def train(net: Measurer, samples: dict[str, Tensor], steps: int, seed: int = 0) -> dict[str, float]:
    """Train LAYERS in place; return figures on the held-back samples before and after."""
    generator = torch.Generator().manual_seed(seed)
    count = len(samples["kind"])
    order = torch.randperm(count, generator=generator)
    held, rest = order[: int(HELD * count)], order[int(HELD * count) :]
    measured = {f"{name}_before": value for name, value in _figures(net, samples, held).items()}
    parameters = [each for layer in LAYERS for each in net.get_submodule(layer).parameters()]
    optimiser = torch.optim.AdamW(parameters, RATE, weight_decay=DECAY)
    best, kept = math.inf, state(net)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (0.5 + 0.5 * math.cos(math.pi * step / steps)) + 1e-6
        rows = rest[torch.randint(len(rest), (BATCH,), generator=generator)]
        loss, _ = _loss(net, samples, rows)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        if (step + 1) % 100 == 0 or step + 1 == steps:
            figures = _figures(net, samples, held)
            if figures["loss"] < best:
                best, kept = figures["loss"], state(net)
            print(json.dumps({"step": step + 1, "train": round(loss.item(), 4)} | figures))
    net.load_state_dict(kept)
    return measured | _figures(net, samples, held)


def _loss(
    net: Measurer, samples: dict[str, Tensor], rows: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    targets = {name: samples[name][rows] for name in TARGETS}
    return answers_loss(net.answer(samples["features"][rows], targets["pose"]), targets)


@torch.no_grad()
def _figures(net: Measurer, samples: dict[str, Tensor], rows: Tensor) -> dict[str, float]:
    loss, figures = _loss(net, samples, rows)
    return {name: round(float(value), 4) for name, value in ({"loss": loss} | figures).items()}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    storing = commands.add_parser("store")
    training = commands.add_parser("train")
    storing.add_argument("checkpoint", type=Path)
    storing.add_argument("data", type=Path)
    storing.add_argument("out", type=Path)
    storing.add_argument("--seed", type=int, required=True)
    storing.add_argument("--count", type=int, required=True)
    training.add_argument("checkpoint", type=Path)
    training.add_argument("out", type=Path)
    training.add_argument("--steps", type=int, default=3000)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    if options.what == "store":
        store(options.checkpoint, options.data, options.out, options.seed, options.count)
        return
    saved = torch.load(options.checkpoint, map_location="cpu", weights_only=True)
    net = Measurer()
    net.load_state_dict(saved["average"])
    net.eval()
    print(json.dumps(train(net, load(options.out), options.steps)))
    saved["average"] = saved["net"] = state(net)
    torch.save(saved, options.checkpoint)


if __name__ == "__main__":
    main()
