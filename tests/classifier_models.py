"""Tiny ONNX classifiers in folders of their own, made with the onnx package: they tell red, green and blue photos apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomlkit
from onnx import TensorProto, helper, numpy_helper

LABELS = ("red", "green", "blue")
PREPROCESSING: Mapping[str, Any] = {"width": 8, "height": 6, "resize": "stretch"}


@dataclass(frozen=True)
class Net:
    """What the network is like: its output is 20 times the mean of each channel over the picture, through `ends`.

    `weights_at`: where the weights lie, if not in the file itself. `layout`: that of its input; `fixed`: whether its size is.
    """

    ends: str = "Identity"
    layout: str = "NCHW"
    fixed: bool = True
    outputs: tuple[str, ...] = ("scores",)
    type: int = TensorProto.FLOAT
    weights_at: str | None = None

    def write(self, path: Path) -> None:
        """Saves it."""
        path.write_bytes(self._model().SerializeToString())

    def _model(self) -> Any:
        across = [6, 8] if self.fixed else ["h", "w"]
        shape = [1, 3, *across] if self.layout == "NCHW" else [1, *across, 3]
        axes = [2, 3] if self.layout == "NCHW" else [1, 2]
        nodes = [
            helper.make_node("Cast", ["photo"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["numbers"], ["means"], axes=axes, keepdims=0),
            helper.make_node("Mul", ["means", "weights"], ["raised"]),
            *(helper.make_node(self.ends, ["raised"], [name]) for name in self.outputs),
        ]
        photo = helper.make_tensor_value_info("photo", self.type, shape)
        given = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in self.outputs
        ]
        graph = helper.make_graph(nodes, "colours", [photo], given, [self._weights()])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)

    def _weights(self) -> Any:
        weights = numpy_helper.from_array(np.full(3, 20, np.float32), "weights")
        if self.weights_at is not None:
            weights.ClearField("raw_data")
            weights.data_location = TensorProto.EXTERNAL
            for name, value in {"location": self.weights_at, "offset": "0", "length": "12"}.items():
                entry = weights.external_data.add()
                entry.key, entry.value = name, value
        return weights


def make_classifier(
    folder: Path, net: Net | None = None, *, how: Mapping[str, Any] | None = None, **changes: Any
) -> Path:
    """A folder with a network and its manifest. `how` adds to its preprocessing; `changes` replaces entries, None takes one away."""
    folder.mkdir(parents=True)
    (net or Net()).write(folder / "net.onnx")
    table: dict[str, Any] = {
        "name": folder.name,
        "version": "1.0.0",
        "kind": "onnx-classifier",
        "licence": "MIT",
        "labels": list(LABELS),
        "gives": "logits",
        "files": {"net.onnx": hashlib.sha256((folder / "net.onnx").read_bytes()).hexdigest()},
        "preprocessing": {**PREPROCESSING, **(how or {})},
    } | changes
    (folder / "manifest.toml").write_text(
        tomlkit.dumps({name: value for name, value in table.items() if value is not None})
    )
    return folder
