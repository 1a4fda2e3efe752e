"""Converts shipped networks to checkpoints, from which training can continue.

Usage: `python -m tools.training.import_weights MODEL CHECKPOINTS --data DIR`.

In the ONNX files, batch normalisation is folded into the convolutions, and most weights are
integers. This module converts each weight to float32 and adds the batch normalisation again. Its
mean and variance are measured on rendered pictures. Its scale and shift are chosen so that the
output of the network stays the same. Layers that the files do not have keep their initial weights.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import cv2
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from tools.training.draw import Array
from tools.training.fp16 import widen
from tools.training.nets import NETS, state
from tools.training.train import RATE, Batches, inputs_of

# Pictures for measuring the mean and variance: number of batches, pictures per batch, random seed.
BATCHES, BATCH, SEED = 24, 32, 77


def weights_of(model: onnx.ModelProto) -> dict[str, tuple[Array, Array]]:
    """Return a mapping from the PyTorch name of every convolution and linear layer to its weights.

    Each value is the weight and the bias, as float arrays.
    """
    model = widen(model)
    numbers = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in numbers:
            whole, scale, zero = (numbers[name] for name in node.input)
            axis = next((each.i for each in node.attribute if each.name == "axis"), 0)
            shape = [-1 if at == axis else 1 for at in range(whole.ndim)] if scale.ndim else []
            numbers[node.output[0]] = (
                whole.astype("float32") - zero.astype("float32").reshape(shape)
            ) * scale.reshape(shape)
    return {
        _module_name(node.name): (numbers[node.input[1]], numbers[node.input[2]])
        for node in model.graph.node
        if node.op_type in ("Conv", "Gemm")
    }


def _module_name(node: str) -> str:
    """Return the PyTorch name of the module that became this ONNX node.

    For example, it is to4.1.body.0.0 for /net/to4/to4.1/body/body.0/body.0.0/Conv.
    """
    parts: list[str] = []
    for part in node.split("/")[2:-1]:
        if parts and part.startswith(parts[-1] + "."):
            parts[-1] = part
        else:
            parts.append(part)
    return ".".join(parts)


def _normalisations(net: nn.Module) -> dict[str, nn.Module]:
    """Return the batch normalisation after each convolution, by the convolution's name."""
    behind, last = {}, ""
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            last = name
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            behind[last] = module
    return behind


@torch.no_grad()
def import_weights(name: str, model: onnx.ModelProto, batches: Batches) -> nn.Module:
    """Return the network `name` with the weights of the ONNX file.

    Args:
        name: Key of NETS.
        model: The ONNX file.
        batches: Training pictures on which the normalisations are measured.

    Raises:
        KeyError: The file contains another network.
    """
    net = NETS[name]()
    weights, modules, behind = weights_of(model), dict(net.named_modules()), _normalisations(net)
    for path, (weight, bias) in weights.items():
        layer = modules[path]
        layer.weight.copy_(torch.from_numpy(weight.copy()).view_as(layer.weight))
        following = behind.get(path)
        if following is None:
            layer.bias.copy_(torch.from_numpy(bias.copy()))
        else:  # identity apart from the bias, until `_measure` sets the measured values
            following.running_mean.zero_()
            following.running_var.fill_(1 - following.eps)
            following.weight.fill_(1)
            following.bias.copy_(torch.from_numpy(bias.copy()))
    _measure(net.eval(), {path: behind[path] for path in weights if path in behind}, batches)
    return net


def _measure(net: nn.Module, behind: dict[str, nn.Module], batches: Batches) -> None:
    """Set the measured mean and variance of each normalisation, without changing its output."""
    sums: dict[str, list[Tensor]] = {path: [] for path in behind}

    def listen(path: str) -> None:
        def hook(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            x = given[0].transpose(0, 1).flatten(1).double()
            sums[path].append(torch.stack([x.mean(1), (x * x).mean(1)]))

        hooks.append(behind[path].register_forward_pre_hook(hook))

    hooks: list[torch.utils.hooks.RemovableHandle] = []
    for path in behind:
        listen(path)
    for _ in range(BATCHES):
        x, targets = batches.next(torch.device("cpu"))
        net(*inputs_of(x, targets))
    for each in hooks:
        each.remove()
    for path, layer in behind.items():
        mean, square = torch.stack(sums[path]).mean(0).float()
        variance = (square - mean * mean).clamp(min=1e-6)
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(variance)
        layer.weight.copy_((variance + layer.eps).sqrt())
        layer.bias.add_(mean)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("checkpoints", type=Path)
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="drawn pictures, as tools.training.dataset writes them",
    )
    parser.add_argument("--nets", nargs="+", choices=tuple(NETS), default=tuple(NETS))
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    options.checkpoints.mkdir(parents=True, exist_ok=True)
    for name in options.nets:
        net = import_weights(
            name,
            onnx.load(str(options.model / f"{name}.onnx")),
            Batches(name, options.data, BATCH, SEED, 1),
        )
        optimiser = torch.optim.AdamW(net.parameters(), RATE[name], weight_decay=1e-3)
        saved = {
            "net": state(net),
            "average": state(copy.deepcopy(net)),
            "optimiser": optimiser.state_dict(),
            "step": 0,
        }
        torch.save(saved, options.checkpoints / f"{name}.pt")
        print(f"{name}: taken up")


if __name__ == "__main__":
    main()
