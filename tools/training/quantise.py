"""Converts exported networks to integers, which is about twice as fast.

`python -m tools.training.quantise MODEL OUT`. MODEL holds the networks of tools.training.export.
OUT gets them with most convolutions in int8. Drawn photos give the ranges of the values. The first
layer and everything after the heat maps stay in floating point, because they resolve tenths of a
millimetre.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from keylike.images.libraries import configure_image_libraries
from keylike.images.photo import open_photo
from keylike.readers.caliper.frames import Array
from keylike.readers.caliper.locate import find, initial_poses
from keylike.readers.caliper.networks import NETWORKS, Networks, files_of
from tools.training.fp16 import halve, widen
from tools.training.render import READABLE, Scene, photos
from tools.training.shapes import BLANK, OTHER

SEED, PHOTOS, SIZE = 9301, 72, (800, 600)
INPUTS = 120  # of each network
_ANY_PRESENCE = -99.0
_STRIP = {"Conv", "Relu", "Add", "Resize", "Concat"}
TYPES = {"finder": _STRIP - {"Concat"}, "aligner": _STRIP, "measurer": _STRIP}


class _Listening(Networks):
    """Networks that record their inputs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(files_of(folder))
        self.shown: dict[str, list[dict[str, Array]]] = {name: [] for name in NETWORKS}

    def _answer(self, name: str, inputs: dict[str, Array]) -> list[Array]:
        self.shown[name].append(inputs)
        return super()._answer(name, inputs)


class _Inputs(CalibrationDataReader):
    def __init__(self, inputs: list[dict[str, Array]]) -> None:
        self._left = iter(inputs)

    def get_next(self) -> dict[str, Array] | None:
        """Return the next input of the network, or None at the end."""
        return next(self._left, None)


def drawn_inputs(model: Path, count: int = PHOTOS) -> dict[str, list[dict[str, Array]]]:
    """Return the inputs of each network on `count` drawn photos, thinned evenly to INPUTS."""
    networks = _Listening(model)
    for picture in _pictures(count):
        rough = find(networks, picture, _ANY_PRESENCE)
        if rough is not None:
            initial_poses(networks, picture, rough)
    return {name: shown[:: -(-len(shown) // INPUTS)] for name, shown in networks.shown.items()}


def _pictures(count: int) -> Iterator[Array]:
    """Yield drawn photos after JPEG compression."""
    for sample in photos(Scene(SEED), count, SIZE, kinds=(*READABLE, OTHER, BLANK)):
        packed = cv2.imencode(".jpg", sample.picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
        yield open_photo(packed.tobytes()).pixels


def quantise(name: str, model: Path, out: Path, inputs: list[dict[str, Array]]) -> Path:
    """Write OUT/<name>.onnx.

    Raises:
        ValueError: The network is in integers already.
    """
    wide = widen(onnx.load(str(model / f"{name}.onnx")))
    if any(node.op_type == "QuantizeLinear" for node in wide.graph.node):
        raise ValueError(f"{name}.onnx is in whole numbers already; export it again")
    path = out / f"{name}.onnx"
    with TemporaryDirectory() as folder:
        source = Path(folder) / "wide.onnx"
        onnx.save(wide, str(source))
        quantize_static(
            str(source),
            str(path),
            _Inputs(inputs),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,  # seven bits: with eight, processors without VNNI saturate
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=_trunk(wide, TYPES[name]),
            op_types_to_quantize=sorted(TYPES[name]),
        )
    onnx.save(halve(onnx.load(str(path))), str(path))
    return path


def _trunk(model: onnx.ModelProto, types: set[str]) -> list[str]:
    """Return the nodes after the first convolution and before the heat maps."""
    names = [node.name for node in model.graph.node]
    first = next(i for i, node in enumerate(model.graph.node) if node.op_type == "Relu")
    heat = names.index("/net/heat/Conv")
    return [node.name for node in list(model.graph.node)[first + 1 : heat] if node.op_type in types]


def quantise_all(model: Path, out: Path) -> None:
    """Convert the three networks and print their sizes."""
    configure_image_libraries()
    out.mkdir(parents=True, exist_ok=True)
    for name, inputs in drawn_inputs(model).items():
        path = quantise(name, model, out, inputs)
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    quantise_all(options.model, options.out)


if __name__ == "__main__":
    main()
