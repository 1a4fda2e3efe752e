"""Writes trained networks as ONNX: `python -m tools.training.export CHECKPOINTS OUT`.

Most of each network computes in whole numbers (training/quantise.py). The other weights are stored in float16 and widened when the file
is opened, so they take half the room and compute in float32.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import onnx
import torch
from torch import Tensor, nn

from keylike.readers.caliper.frames import ALIGN, FINDER_SIDE, READ
from tools.training.fp16 import halve
from tools.training.nets import NETS
from tools.training.quantise import quantise_all

OPSET = 17

SHAPES = {
    "finder": (FINDER_SIDE, FINDER_SIDE),
    "aligner": (ALIGN.height, ALIGN.width),
    "measurer": (READ.height, READ.width),
}
OUTPUTS = {
    "finder": ("points", "variance", "presence"),
    "aligner": ("corners", "side"),
    "measurer": ("edges", "depths", "spread", "kinds", "fit", "corners"),
}


class _Answers(nn.Module):
    """The network without the heat maps that only training looks at."""

    def __init__(self, net: nn.Module, skip: int) -> None:
        super().__init__()
        self.net, self.skip = net, skip

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        answers: tuple[Tensor, ...] = self.net(picture)[self.skip :]
        return answers


def export(name: str, checkpoint: Path, out: Path) -> Path:
    """Writes OUT/<name>.onnx, not yet in whole numbers, from the checkpoint's running average; the batch is the only open dimension."""
    net = NETS[name]()
    net.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["average"])
    net.eval()
    path = out / f"{name}.onnx"
    names = OUTPUTS[name]
    axes = {key: {0: "photos"} for key in ("picture", *names)}
    example = torch.zeros(2, 3, *SHAPES[name])
    wrapped = _Answers(net, len(net(example)) - len(names))
    torch.onnx.export(
        wrapped,
        (example,),
        str(path),
        input_names=["picture"],
        output_names=list(names),
        dynamic_axes=axes,
        opset_version=OPSET,
        dynamo=False,
    )
    onnx.save(halve(onnx.load(str(path))), str(path))
    return path


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with TemporaryDirectory() as exact:
        for name in NETS:
            export(name, options.checkpoints / f"{name}.pt", Path(exact))
        quantise_all(Path(exact), options.out)


if __name__ == "__main__":
    main()
