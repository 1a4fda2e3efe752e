"""Quantises exported networks to int8, which makes them about twice as fast.

Usage: `python -m tools.training.quantise MODEL OUT`. MODEL contains the networks that
tools.training.export wrote. The quantised networks are written to OUT. The value ranges are
measured on rendered photos. The first layer and all layers from the heat maps on stay in floating
point, because their results must be precise to a tenth of a millimetre.
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

# Rendered photos on which the value ranges are measured: seed, number, size (width, height) in
# pixels.
SEED, PHOTOS, SIZE = 9301, 72, (800, 600)
INPUTS = 120  # largest number of inputs of each network that are used
_ANY_PRESENCE = -99.0  # threshold for the presence logit that accepts every photo
# Types of ONNX operators that are quantised: in the two networks that read strips, and by network.
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
    """Return the inputs that each network gets for `count` rendered photos, at most INPUTS each.

    If there are more, an even selection is returned.
    """
    networks = _Listening(model)
    for picture in _pictures(count):
        rough = find(networks, picture, _ANY_PRESENCE)
        if rough is not None:
            initial_poses(networks, picture, rough)
    return {name: shown[:: -(-len(shown) // INPUTS)] for name, shown in networks.shown.items()}


def _pictures(count: int) -> Iterator[Array]:
    """Yield `count` rendered photos that were compressed as JPEG and decoded again."""
    for sample in photos(Scene(SEED), count, SIZE, kinds=(*READABLE, OTHER, BLANK)):
        packed = cv2.imencode(".jpg", sample.picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
        yield open_photo(packed.tobytes()).pixels


def quantise(name: str, model: Path, out: Path, inputs: list[dict[str, Array]]) -> Path:
    """Quantise the network to int8 and write OUT/<name>.onnx.

    Raises:
        ValueError: The network is already quantised.
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
            # Weights use seven bits. With eight, sums overflow on processors without VNNI.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=_trunk(wide, TYPES[name]),
            op_types_to_quantize=sorted(TYPES[name]),
        )
    onnx.save(halve(onnx.load(str(path))), str(path))
    return path


def _trunk(model: onnx.ModelProto, types: set[str]) -> list[str]:
    """Return the names of the nodes between the first convolution and the heat maps."""
    names = [node.name for node in model.graph.node]
    first = next(i for i, node in enumerate(model.graph.node) if node.op_type == "Relu")
    heat = names.index("/net/heat/Conv")
    return [node.name for node in list(model.graph.node)[first + 1 : heat] if node.op_type in types]


def quantise_all(model: Path, out: Path) -> None:
    """Quantise the three networks and print the size of each file."""
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
