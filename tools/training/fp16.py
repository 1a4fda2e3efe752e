"""Weights stored as float16, which halves the file; they are converted to float32 when used."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_SMALLEST = 1024  # tensors with fewer elements than this stay float32


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store every large float32 weight as float16, and add a cast to float32 before its use."""
    kept, casts = [], []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < _SMALLEST:
            kept.append(weight)
            continue
        narrow = numpy_helper.from_array(
            numpy_helper.to_array(weight).astype(np.float16), weight.name + "_half"
        )
        kept.append(narrow)
        casts.append(
            helper.make_node(
                "Cast",
                [narrow.name],
                [weight.name],
                to=TensorProto.FLOAT,
                name=weight.name + "_widen",
            )
        )
    nodes = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend([*casts, *nodes])
    onnx.checker.check_model(model)
    return model


def widen(model: onnx.ModelProto) -> onnx.ModelProto:
    """Convert float16 weights back to float32 and remove the casts that `halve` added."""
    weights = {
        weight.name: weight
        for weight in model.graph.initializer
        if weight.data_type == TensorProto.FLOAT16
    }
    kept: list[Any] = []
    for node in model.graph.node:
        narrow = weights.pop(node.input[0], None) if node.op_type == "Cast" else None
        if narrow is None:
            kept.append(node)
            continue
        model.graph.initializer.remove(narrow)
        model.graph.initializer.append(
            numpy_helper.from_array(
                numpy_helper.to_array(narrow).astype(np.float32), node.output[0]
            )
        )
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model
