"""Tests of a very short training of the caliper's networks, from drawing to export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: make test-gemma installs it")

import onnx  # noqa: E402

from keylike.readers.caliper.frames import READ, pose_features  # noqa: E402
from keylike.readers.caliper.networks import Networks, files_of  # noqa: E402
from tools.training.dataset import draw  # noqa: E402
from tools.training.export import OUTPUTS, SHAPES, export  # noqa: E402
from tools.training.import_weights import import_weights  # noqa: E402
from tools.training.nets import NETS  # noqa: E402
from tools.training.train import Batches, inputs_of, train  # noqa: E402

MODEL = Path(__file__).resolve().parents[3] / "models" / "caliper"
TILTED = np.diag([1.0, 0.9, 1.0]) @ np.linalg.inv(READ.matrix)
pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    draw("plates", folder / "plates_00001", 1, 16)
    draw("wholes", folder / "wholes_00001", 1, 16)
    return folder


@pytest.mark.parametrize("name", list(NETS))
def test_training_continues_from_its_checkpoint(name: str, data: Path, tmp_path: Path) -> None:
    train(name, data, tmp_path, steps=2, batch=4, seed=0, workers=1)
    assert torch.load(tmp_path / f"{name}.pt", weights_only=True)["step"] == 2
    train(name, data, tmp_path, steps=3, batch=4, seed=0, workers=1)
    assert torch.load(tmp_path / f"{name}.pt", weights_only=True)["step"] == 3


def test_training_that_keeps_statistics_changes_only_weights(data: Path, tmp_path: Path) -> None:
    saved = []
    for steps in (1, 2):
        train("measurer", data, tmp_path, steps, 4, seed=0, workers=1, keep_statistics=True)
        saved.append(torch.load(tmp_path / "measurer.pt", weights_only=True)["net"])
    changed = {name for name in saved[0] if not torch.equal(saved[0][name], saved[1][name])}
    assert any(name.endswith("weight") for name in changed)
    assert not any("running" in name for name in changed)


# PyTorch recommends a newer exporter, which needs another package. The old one warns about that.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_exported_network_gives_the_results_of_the_trained_one(data: Path, tmp_path: Path) -> None:
    for name in NETS:
        train(name, data, tmp_path, steps=1, batch=4, seed=0, workers=1)
        export(name, tmp_path / f"{name}.pt", tmp_path)
    networks = Networks(files_of(tmp_path))
    strip = np.random.default_rng(0).integers(0, 255, (*SHAPES["measurer"], 3), dtype=np.uint8)
    net = NETS["measurer"]()
    net.load_state_dict(torch.load(tmp_path / "measurer.pt", weights_only=True)["average"])
    net.eval()
    with torch.no_grad():
        picture = torch.from_numpy((strip.transpose(2, 0, 1)[None].astype(np.float32) - 120) / 60)
        pose = torch.from_numpy(pose_features(TILTED)[None])
        depths = net(picture, pose)[-5][0].numpy()
    # The exported weights have half precision, so the depths in mm differ a little.
    assert np.abs(networks.measure(strip, TILTED).depths - depths).max() < 0.01
    assert np.isfinite(networks.find(strip[:, :160][:144].repeat(2, 0)[:160]).points).all()


@pytest.mark.parametrize("name", list(NETS))
def test_imported_weights_give_the_results_of_the_embedded_network(name: str, data: Path) -> None:
    """Import the weights of a network of the embedded model, for a further training."""
    file = MODEL / f"{name}.onnx"
    batches = Batches(name, data, 8, 0, 1)
    net = import_weights(name, onnx.load(str(file)), batches).eval()
    given = inputs_of(*batches.next(torch.device("cpu")))
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    asked = [each.name for each in session.get_inputs()]
    fed = {key: x.contiguous().numpy() for key, x in zip(asked, given, strict=False)}
    shipped = session.run(None, fed)
    names = [output.name for output in session.get_outputs()]
    with torch.no_grad():
        again, training = (
            dict(zip(OUTPUTS[name], answers[-len(OUTPUTS[name]) :], strict=True))
            for answers in (net(*given), net.train()(*given))
        )
    for output, before in zip(names, shipped, strict=True):
        after = again[output].numpy()
        if output == "variance":
            # Without a visible blade this output, in square pixels, has values of very different
            # sizes, so compare the logarithms.
            before, after = np.log(before), np.log(after)
        assert np.abs(before - after).mean() < 0.03 * (np.abs(before).mean() + 0.1)
    # In training mode the network uses the statistics of these eight pictures only. Its first
    # output (points, corners or edges) must still be near that of the embedded network.
    assert np.abs(shipped[0] - training[names[0]].numpy()).mean() < 0.3 * (
        np.abs(shipped[0]).mean() + 0.1
    )
