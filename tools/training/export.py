"""Exports trained networks to ONNX: `python -m tools.training.export CHECKPOINTS OUT`.

Most layers are quantised to int8 (tools/training/quantise.py). The weights of the other layers are
stored as float16, and converted to float32 when the network runs.
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
from tools.training.nets import NETS, POSE_FEATURES
from tools.training.quantise import quantise_all

OPSET = 17  # version of the ONNX operators

# Height and width of each network's input in pixels.
SHAPES = {
    "finder": (FINDER_SIDE, FINDER_SIDE),
    "aligner": (ALIGN.height, ALIGN.width),
    "measurer": (READ.height, READ.width),
}
# Names of each network's outputs in the ONNX file.
OUTPUTS = {
    "finder": ("points", "variance", "presence", "several"),
    "aligner": ("corners", "side"),
    "measurer": ("edges", "depths", "spread", "kinds", "fit", "corners"),
}


class _Answers(nn.Module):
    """A network without its first `skip` outputs: the heat maps, which only training uses."""

    def __init__(self, net: nn.Module, skip: int) -> None:
        super().__init__()
        self.net, self.skip = net, skip

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        answers: tuple[Tensor, ...] = self.net(*given)[self.skip :]
        return answers


def export(name: str, checkpoint: Path, out: Path) -> Path:
    """Write OUT/<name>.onnx with floating-point weights: the running average in the checkpoint.

    Only the batch size can vary. All other dimensions of the inputs are fixed.
    """
    net = NETS[name]()
    net.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["average"])
    net.eval()
    path = out / f"{name}.onnx"
    names, inputs = OUTPUTS[name], ["picture", "pose"] if name == "measurer" else ["picture"]
    axes = {key: {0: "photos"} for key in (*inputs, *names)}
    examples = (torch.zeros(2, 3, *SHAPES[name]), torch.zeros(2, POSE_FEATURES))[: len(inputs)]
    wrapped = _Answers(net, len(net(*examples)) - len(names))
    torch.onnx.export(
        wrapped,
        examples,
        str(path),
        input_names=inputs,
        output_names=list(names),
        dynamic_axes=axes,
        opset_version=OPSET,
        dynamo=False,
    )
    onnx.save(halve(onnx.load(str(path))), str(path))
    return path


def main() -> None:
    """Run from the command line."""
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
