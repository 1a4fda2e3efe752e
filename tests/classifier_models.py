"""Tiny ONNX classifiers for tests. They distinguish red, green and blue photos."""

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
    """Description of an ONNX network.

    Its output is 20 times the mean of each colour channel, passed through the operator `ends`.

    Attributes:
        ends: Last operator.
        layout: Order of the axes of the input, "NCHW" or "NHWC".
        fixed: True if width and height of the input are fixed.
        outputs: Names of the outputs.
        type: Element type of the input.
        weights_at: File with the weights, or None if they are inside the network file.
    """

    ends: str = "Identity"
    layout: str = "NCHW"
    fixed: bool = True
    outputs: tuple[str, ...] = ("scores",)
    type: int = TensorProto.FLOAT
    weights_at: str | None = None

    def write(self, path: Path) -> None:
        """Write the network as an ONNX file."""
        path.write_bytes(self._model().SerializeToString())

    def _model(self) -> Any:
        size = [6, 8] if self.fixed else ["h", "w"]
        shape = [1, 3, *size] if self.layout == "NCHW" else [1, *size, 3]
        axes = [2, 3] if self.layout == "NCHW" else [1, 2]
        nodes = [
            helper.make_node("Cast", ["photo"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["numbers"], ["means"], axes=axes, keepdims=0),
            helper.make_node("Mul", ["means", "weights"], ["raised"]),
            *(helper.make_node(self.ends, ["raised"], [name]) for name in self.outputs),
        ]
        photo = helper.make_tensor_value_info("photo", self.type, shape)
        outputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in self.outputs
        ]
        graph = helper.make_graph(nodes, "colours", [photo], outputs, [self._weights()])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)

    def _weights(self) -> Any:
        weights = numpy_helper.from_array(np.full(3, 20, np.float32), "weights")
        if self.weights_at is not None:
            weights.ClearField("raw_data")
            weights.data_location = TensorProto.EXTERNAL
            for name, value in {"location": self.weights_at, "offset": "0", "length": "12"}.items():
                entry = weights.external_data.add()
                entry.key = name
                entry.value = value
        return weights


def make_classifier(
    folder: Path,
    net: Net | None = None,
    *,
    preprocessing_changes: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """Create a folder with a network and its manifest.

    Args:
        folder: Folder to create.
        net: Network to save.
        preprocessing_changes: Additional preprocessing entries.
        changes: Manifest entries to replace, or to remove if None.
    """
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
        "preprocessing": {**PREPROCESSING, **(preprocessing_changes or {})},
    } | changes
    (folder / "manifest.toml").write_text(
        tomlkit.dumps({name: value for name, value in table.items() if value is not None})
    )
    return folder
