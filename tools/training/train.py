"""Trains one network: `python -m tools.training.train finder --data DIR --out DIR --steps 6000`.

A checkpoint is written every 100 steps, and the same command resumes from it. A GPU is used if
there is one.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import queue
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from keylike.readers.caliper.decode import HUBER, UNIT_MM
from keylike.readers.caliper.frames import to_input
from tools.training.augment import SAMPLERS
from tools.training.dataset import load
from tools.training.draw import Array
from tools.training.nets import NETS, count, state

# Kind of training pictures of each network (see dataset.py).
SOURCE = {"finder": "wholes", "aligner": "plates", "measurer": "plates"}
# Peak learning rate of each network, for training that starts from random weights.
RATE = {"finder": 2e-3, "aligner": 2e-3, "measurer": 2.5e-3}
# Steps between two checkpoints, steps between two reports, and steps until the learning rate
# reaches its peak.
SAVE_EVERY, TELL_EVERY, WARM_STEPS = 50, 50, 150
# Standard deviations of the targets of the heat maps: around a point in pixels of the finder's
# square, and across an edge in mm.
HEAT_SIGMA_PX, EDGE_SIGMA_MM = 2.5, 0.17
TILT_WEIGHT = 0.5  # weight of the error of the tilt in the measurer's loss


class Batches:
    """Training batches, which background threads prepare. Each thread has its own random seed.

    Args:
        name: Name of the network.
        data: Folder of training pictures.
        size: Pictures per batch.
        seed: Random seed.
        workers: Number of threads.
    """

    def __init__(self, name: str, data: Path, size: int, seed: int, workers: int) -> None:
        self.shards, self.index, self.labels = load(data, SOURCE[name])
        self.sampler, self.size = SAMPLERS[name], size
        self.ready: queue.Queue[tuple[Array, dict[str, Array]] | Exception] = queue.Queue(6)
        for worker in range(workers):
            threading.Thread(
                target=self._work, args=(np.random.default_rng([seed, worker]),), daemon=True
            ).start()

    def _work(self, rng: np.random.Generator) -> None:
        try:
            while True:
                self.ready.put(self._batch(rng))
        except Exception as error:  # `next` raises it; otherwise `next` would wait forever
            self.ready.put(error)

    def _batch(self, rng: np.random.Generator) -> tuple[Array, dict[str, Array]]:
        inputs, targets = [], []
        for row in rng.integers(0, len(self.index), self.size):
            shard, at = self.index[row]
            picture, target = self.sampler(rng, self.shards[shard][at], self.labels, int(row))
            inputs.append(picture)
            targets.append(target)
        together = {
            key: np.stack([target[key] for target in targets]).astype(np.float32)
            for key in targets[0]
        }
        return to_input(inputs), together

    def next(self, device: torch.device) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the next inputs (n, 3, h, w) in channels-last order, and their targets.

        An error in a background thread is raised here.
        """
        ready = self.ready.get()
        if isinstance(ready, Exception):
            raise ready
        inputs, targets = ready
        x = torch.from_numpy(inputs).to(device, memory_format=torch.channels_last)
        return x, {key: torch.from_numpy(value).to(device) for key, value in targets.items()}


def inputs_of(x: Tensor, targets: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """Return the network's inputs: pictures and, for the measurer, the pose features."""
    return (x, targets["pose"]) if "pose" in targets else (x,)


def finder_loss(
    net: nn.Module, x: Tensor, t: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of the finder and its parts.

    They are the cross-entropy of the heat maps, the distance of the points in pixels, and the
    losses of the two outputs `presence` and `several`.
    """
    heat, points, _, presence, several = net(x)
    grid, key = net.grid, t["key"]
    near = [
        torch.exp(-0.5 * ((grid - t["points"][..., axis : axis + 1]) / HEAT_SIGMA_PX) ** 2)
        for axis in (0, 1)
    ]
    across, down = (n / (n.sum(2, keepdim=True) + 1e-6) for n in near)
    log_share = heat.flatten(2).log_softmax(2).view_as(heat)
    cross = -(log_share * down[..., None] * across[:, :, None]).sum((2, 3)).mean(1)
    away = (points - t["points"]).abs().clamp(max=40).mean((1, 2))
    seen = F.binary_cross_entropy_with_logits(presence, key)
    keys = key.sum().clamp(min=1)
    further = (
        F.binary_cross_entropy_with_logits(several, t["several"], reduction="none") * key
    ).sum() / keys
    # With several whole keys, no single position would be right, so those photos are left out.
    single = key * (1 - t["several"])
    singles = single.sum().clamp(min=1)
    loss = ((cross + 0.5 * away) * single).sum() / singles + seen + further
    right = ((presence > 0) == (key > 0.5)).float().mean()
    alone = (((several > 0) == (t["several"] > 0.5)).float() * key).sum() / keys
    return loss, {
        "cross": (cross * single).sum() / singles,
        "px": (away * single).sum() / singles,
        "presence": right,
        "several": alone,
    }


def edge_loss(
    net: nn.Module, heat: Tensor, edges: Tensor, t: dict[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the mean cross-entropy and the mean error in mm of the edges.

    Only columns on the blade count.
    """
    on = t["edge_weight"]
    near = torch.exp(
        -0.5 * ((net.rows.view(1, 1, -1, 1) - t["edges"][:, :, None]) / EDGE_SIGMA_MM) ** 2
    )
    near = near / (near.sum(2, keepdim=True) + 1e-6)
    cross = (-(near * heat.log_softmax(2)).sum(2) * on).sum() / on.sum().clamp(min=1)
    return cross, ((edges - t["edges"]).abs().clamp(max=2) * on).sum() / on.sum().clamp(min=1)


def aligner_loss(
    net: nn.Module, x: Tensor, t: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of the aligner and its parts: edges, corner offsets in mm, and side."""
    heat, edges, corners, side = net(x)
    key, sided = t["key"], t["sided"]
    cross, edge = edge_loss(net, heat, edges, t)
    off = F.smooth_l1_loss(corners, t["corners"], beta=0.1, reduction="none").mean(1)
    over = F.binary_cross_entropy_with_logits(side, t["over"], reduction="none")
    loss = (
        cross
        + 3 * edge
        + 6 * (off * key).sum() / key.sum().clamp(min=1)
        + (over * sided).sum() / sided.sum().clamp(min=1)
    )
    right = (((side > 0) == (t["over"] > 0.5)).float() * sided).sum() / sided.sum().clamp(min=1)
    corner = ((corners - t["corners"]).abs().mean(1) * key).sum() / key.sum().clamp(min=1)
    return loss, {"edge_mm": edge, "corner_mm": corner, "side": right}


def measurer_loss(
    net: nn.Module, x: Tensor, t: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of the measurer and its parts."""
    tilt, heat, edges, *answers = net(x, t["pose"])
    cross, edge = edge_loss(net, heat, edges, t)
    loss, figures = answers_loss(answers, t)
    fits = t["fit"]
    miss = F.smooth_l1_loss(tilt, t["tilt"], beta=0.3, reduction="none").mean(1)
    miss = (miss * fits).sum() / fits.sum().clamp(min=1)
    return cross + 3 * edge + loss + TILT_WEIGHT * miss, {"edge_mm": edge, "tilt": miss} | figures


def answers_loss(
    answers: Sequence[Tensor], t: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of all outputs of the measurer except the edges.

    They are the depths with their spreads, kind, fit, and remaining corner offsets.
    """
    depths, spread, kinds, fit, corners = answers
    fits, seen, known = t["fit"], t["visible"], t["known"]
    miss = depths - t["depths"]
    units = F.smooth_l1_loss(miss / UNIT_MM, torch.zeros_like(miss), reduction="none", beta=HUBER)
    depth = ((units * torch.exp(-spread) + spread) * seen).sum() / seen.sum().clamp(min=1)
    kind = (F.cross_entropy(kinds, t["kind"].long(), reduction="none") * known).mean()
    fitting = F.binary_cross_entropy_with_logits(fit, fits)
    off = F.smooth_l1_loss(corners, t["corners"], beta=0.05, reduction="none").mean(1)
    off = (off * fits).sum() / fits.sum().clamp(min=1)
    right = (kinds.argmax(1) == t["kind"]).float()
    away = (corners - t["corners"]).abs().mean(1)
    figures = {
        "depth_mm": (miss.abs() * seen).sum() / seen.sum().clamp(min=1),
        "kind": (right * known).sum() / known.sum().clamp(min=1),
        "kind_loss": kind,
        "fit": ((fit > 0) == (fits > 0.5)).float().mean(),
        "corner_mm": (away * fits).sum() / fits.sum().clamp(min=1),
    }
    return 0.6 * depth + 0.8 * kind + 0.3 * fitting + 6 * off, figures


LOSSES = {"finder": finder_loss, "aligner": aligner_loss, "measurer": measurer_loss}


class Trainer:
    """One network in training, with the running average of its weights, optimiser and step count.

    If `out` has a checkpoint of the network, training continues from it.

    Args:
        name: Name of the network.
        out: Folder of the checkpoint.
        steps: Last step.
        seed: Random seed.
        rate: Peak learning rate, or None for the one in RATE.
        freeze: Names of modules whose weights do not change.
        keep_statistics: True to normalise with the stored mean and variance. The loss then does
            not rise at first, as it does when training continues from a shipped network.
    """

    def __init__(
        self,
        name: str,
        out: Path,
        steps: int,
        seed: int,
        rate: float | None = None,
        freeze: Sequence[str] = (),
        keep_statistics: bool = False,
    ) -> None:
        torch.manual_seed(seed)
        self.name, self.steps, self.step, self.rate = name, steps, 0, rate or RATE[name]
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # Processors without AVX-512 emulate bfloat16, which is slower than float32.
        native = "AVX512" in torch.backends.cpu.get_cpu_capability()
        self.half = native or self.device.type == "cuda"
        self.net = NETS[name]().to(self.device, memory_format=torch.channels_last)
        for part in freeze:
            self.net.get_submodule(part).requires_grad_(False)
        if keep_statistics:
            for module in self.net.modules():
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                    module.eval()
        self.average = copy.deepcopy(self.net)
        self.optimiser = torch.optim.AdamW(self.net.parameters(), self.rate, weight_decay=1e-3)
        self.path = out / f"{name}.pt"
        if self.path.exists():
            self._pick_up(torch.load(self.path, map_location=self.device, weights_only=True))

    def _pick_up(self, saved: dict[str, Any]) -> None:
        self.net.load_state_dict(saved["net"])
        self.average.load_state_dict(saved["average"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.step = saved["step"]

    def save(self) -> None:
        """Write the checkpoint to a new file, then replace the old one."""
        saved = {
            "net": state(self.net),
            "average": state(self.average),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        fresh = self.path.with_suffix(".new")
        torch.save(saved, fresh)
        fresh.rename(self.path)

    def one(self, x: Tensor, targets: dict[str, Tensor]) -> dict[str, float]:
        """Train one step. Return the loss and its parts."""
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.half):
            loss, figures = LOSSES[self.name](self.net, x, targets)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimiser.step()
        self.step += 1
        self._average()
        return {"loss": loss.item()} | {key: value.item() for key, value in figures.items()}

    def _rate(self) -> float:
        warm = min(1.0, self.step / min(WARM_STEPS, self.steps / 10) + 0.02)
        return max(
            self.rate * warm * (0.5 + 0.5 * math.cos(math.pi * min(1.0, self.step / self.steps))),
            1e-5,
        )

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(0.998, self.step / (self.step + 20))
        for slow, fast in zip(
            self.average.state_dict().values(), self.net.state_dict().values(), strict=True
        ):
            if slow.dtype.is_floating_point:
                slow.lerp_(fast, 1 - keep)
            else:
                slow.copy_(fast)


def train(
    name: str,
    data: Path,
    out: Path,
    steps: int,
    batch: int,
    seed: int,
    workers: int,
    rate: float | None = None,
    freeze: Sequence[str] = (),
    keep_statistics: bool = False,
) -> None:
    """Train up to step `steps`. Every 50 steps, print the mean losses as a line of JSON."""
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(name, out, steps, seed, rate, freeze, keep_statistics)
    batches = Batches(name, data, batch, seed + trainer.step, workers)
    print(
        json.dumps(
            {
                "net": name,
                "parameters": count(trainer.net),
                "pictures": len(batches.index),
                "from_step": trainer.step,
            }
        ),
        flush=True,
    )
    figures: list[dict[str, float]] = []
    start, begun = time.monotonic(), trainer.step
    while trainer.step < steps:
        figures.append(trainer.one(*batches.next(trainer.device)))
        if trainer.step % TELL_EVERY == 0:
            pace = (trainer.step - begun) * batch / (time.monotonic() - start)
            means = {
                key: round(float(np.mean([row[key] for row in figures])), 4) for key in figures[0]
            }
            print(
                json.dumps({"step": trainer.step, "per_second": round(pace, 1), **means}),
                flush=True,
            )
            figures = []
        if trainer.step % SAVE_EVERY == 0:
            trainer.save()
    trainer.save()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("net", choices=tuple(NETS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--rate",
        type=float,
        help="the highest learning rate, if not the one for a network that starts from nothing",
    )
    parser.add_argument(
        "--freeze", nargs="*", default=(), help="parts of the network to leave as they are"
    )
    parser.add_argument(
        "--keep-statistics",
        action="store_true",
        help="normalise with the stored statistics, for short training of a trained network",
    )
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(options.threads)
    train(
        options.net,
        options.data,
        options.out,
        options.steps,
        options.batch,
        options.seed,
        options.workers,
        options.rate,
        options.freeze,
        options.keep_statistics,
    )


if __name__ == "__main__":
    main()
