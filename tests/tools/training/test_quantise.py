"""Tests of converting the caliper's networks to integers (quantising)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs PyTorch: make test-gemma installs it")

import torch

from keylike.readers.caliper.frames import READ, to_input
from keylike.readers.caliper.networks import NETWORKS, Networks, files_of
from tools.training.export import SHAPES, export
from tools.training.nets import NETS, POSE_FEATURES
from tools.training.quantise import drawn_inputs, quantise

pytestmark = [pytest.mark.training, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
FLAT = np.linalg.inv(READ.matrix)
MODEL = Path(__file__).resolve().parents[3] / "models" / "caliper"


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with exported networks, which are not trained."""
    folder = tmp_path_factory.mktemp("exact")
    torch.manual_seed(0)
    for name, net in NETS.items():
        torch.save({"average": net().state_dict()}, folder / f"{name}.pt")
        export(name, folder / f"{name}.pt", folder)
    return folder


def noise(name: str, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*SHAPES[name], 3), dtype=np.uint8) for _ in range(count)]


def inputs(name: str, count: int) -> list[dict[str, np.ndarray]]:
    """Return pictures of noise as input of the network."""
    pose = {"pose": np.zeros((1, POSE_FEATURES), np.float32)} if name == "measurer" else {}
    return [{"picture": to_input([picture])} | pose for picture in noise(name, count)]


def test_quantised_networks_give_almost_the_same_results(exact: Path, tmp_path: Path) -> None:
    for name in NETWORKS:
        path = quantise(name, exact, tmp_path, inputs(name, 3))
        assert path.stat().st_size < (exact / f"{name}.onnx").stat().st_size
    before, after = Networks(files_of(exact)), Networks(files_of(tmp_path))
    strip = noise("measurer", 4)[-1]
    assert (
        np.abs(before.measure(strip, FLAT).depths - after.measure(strip, FLAT).depths).max() < 0.02
    )
    assert np.abs(before.measure(strip, FLAT).edges - after.measure(strip, FLAT).edges).max() < 0.2
    square = noise("finder", 4)[-1]
    assert np.abs(before.find(square).points - after.find(square).points).max() < 1.0


def test_quantising_a_quantised_network_raises_value_error(exact: Path, tmp_path: Path) -> None:
    quantise("finder", exact, tmp_path, inputs("finder", 2))
    with pytest.raises(ValueError, match="already"):
        quantise("finder", tmp_path, tmp_path, inputs("finder", 2))


def test_drawn_inputs_exist_for_every_network() -> None:
    shown = drawn_inputs(MODEL, 2)
    for name in NETWORKS:
        assert all(given["picture"].shape[2:] == SHAPES[name] for given in shown[name])
    assert min(len(shown[name]) for name in NETWORKS) >= 2
