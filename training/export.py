"""Writes trained networks as ONNX with half-precision weights: `python -m training.export CHECKPOINTS OUT`.

The weights are stored in float16 and widened when the file is opened, so a file is half as large and computes in float32 as before.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from readers.caliper.frames import ALIGN, FINDER_SIDE, READ
from training.nets import NETS

OPSET = 17
_SMALLEST = 1024  # numbers; smaller tensors stay as they are

SHAPES = {"finder": (FINDER_SIDE, FINDER_SIDE), "aligner": (ALIGN.height, ALIGN.width), "measurer": (READ.height, READ.width)}
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
    """Writes OUT/<name>.onnx from the checkpoint's running average; the batch is the only open dimension."""
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


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """Stores every large float32 weight as float16, followed by a cast back to float32."""
    kept, casts = [], []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < _SMALLEST:
            kept.append(weight)
            continue
        narrow = numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name + "_half")
        kept.append(narrow)
        casts.append(helper.make_node("Cast", [narrow.name], [weight.name], to=TensorProto.FLOAT, name=weight.name + "_widen"))
    nodes = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend([*casts, *nodes])
    onnx.checker.check_model(model)
    return model


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in NETS:
        path = export(name, options.checkpoints / f"{name}.pt", options.out)
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
