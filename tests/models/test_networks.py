"""Tests of hostile ONNX files that read other files, run forever or use all memory."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from keylike.errors import ModelError
from keylike.readers.classifiers.network import NetworkClassifier
from keylike.readers.loading import load, load_classifier
from keylike.readers.sessions import MAX_BYTES
from tests.classifier_models import Net, make_classifier
from tests.models.folders import KINDS, update_hash

CALIPER = KINDS[0]
FLOAT = TensorProto.FLOAT
WEIGHTS = np.full(3, 20, np.float32)
# The file name by which onnxruntime means weights in memory, at the address in the field "offset".
IN_MEMORY = "*/_ORT_MEM_ADDR_/*"


def tensor(where: str) -> Any:
    """Return a tensor of three weights that are in another file, `where`."""
    return Net(weights_at=where)._weights()


def constant(value: Any) -> Any:
    return helper.make_node("Constant", [], ["weights"], value=value)


MULTIPLY = helper.make_node("Mul", ["means", "weights"], ["scores"])
YES = numpy_helper.from_array(np.array(True), "yes")
NUMBER = [helper.make_opsetid("", 13)]


def model(nodes: Iterable[Any], weights: Iterable[Any] = (), **more: Any) -> bytes:
    """Return an ONNX model that computes the mean of each channel and applies `nodes` to it.

    `more` may contain sparse weights, functions and operator domains.
    """
    means = helper.make_node("ReduceMean", ["photo"], ["means"], axes=[2, 3], keepdims=0)
    photo = helper.make_tensor_value_info("photo", FLOAT, [1, 3, 6, 8])
    scores = helper.make_tensor_value_info("scores", FLOAT, None)
    graph = helper.make_graph(
        [means, *nodes],
        "net",
        [photo],
        [scores],
        list(weights),
        sparse_initializer=more.get("sparse", []),
    )
    imports = [*NUMBER, *(helper.make_opsetid(name, 1) for name in more.get("domains", []))]
    model_proto = helper.make_model(
        graph, opset_imports=imports, ir_version=8, functions=more.get("functions", [])
    )
    return bytes(model_proto.SerializeToString())


def branch(nodes: Iterable[Any], weights: Iterable[Any] = ()) -> Any:
    out = helper.make_tensor_value_info("scores", FLOAT, None)
    return helper.make_graph([*nodes, MULTIPLY], "branch", [], [out], list(weights))


def if_node(one: Any) -> Any:
    return helper.make_node("If", ["yes"], ["scores"], then_branch=one, else_branch=one)


def in_sparse(where: str) -> bytes:
    indices = numpy_helper.from_array(np.arange(3), "places")
    return model([MULTIPLY], sparse=[helper.make_sparse_tensor(tensor(where), indices, [3])])


def in_function(where: str) -> bytes:
    inside = [constant(tensor(where)), helper.make_node("Mul", ["a", "weights"], ["b"])]
    function = helper.make_function("own", "Times", ["a"], ["b"], inside, NUMBER)
    return model(
        [helper.make_node("Times", ["means"], ["scores"], domain="own")],
        functions=[function],
        domains=["own"],
    )


PLACES: dict[str, Callable[[str], bytes]] = {
    "weights": lambda where: model([MULTIPLY], [tensor(where)]),
    "attribute": lambda where: model([constant(tensor(where)), MULTIPLY]),
    "weights of a branch": lambda where: model([if_node(branch([], [tensor(where)]))], [YES]),
    "attribute in a branch": lambda where: model(
        [if_node(branch([constant(tensor(where))]))], [YES]
    ),
    "sparse weights": in_sparse,
    "function": in_function,
}


def make_served(folder: Path, data: bytes) -> Path:
    """Create a classifier folder with this network and its correct hash."""
    make_classifier(folder, Net())
    (folder / "net.onnx").write_bytes(data)
    update_hash(folder, "net.onnx")
    return folder


def test_networks_with_weights_inside_the_file_work(tmp_path: Path) -> None:
    weights = numpy_helper.from_array(WEIGHTS, "weights")
    load_classifier(make_served(tmp_path / "plain", model([MULTIPLY], [weights]))).warm()
    load_classifier(
        make_served(tmp_path / "branch", model([if_node(branch([constant(weights)]))], [YES]))
    ).warm()


@pytest.mark.parametrize(
    "where", ["weights.bin", "../weights.bin", "absolute", IN_MEMORY, "/_ORT_MEM_ADDR_/"]
)
@pytest.mark.parametrize("place", PLACES)
def test_weights_outside_the_network_file_are_refused(
    tmp_path: Path, place: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_served(
        tmp_path / "net",
        PLACES[place](str(tmp_path / "weights.bin") if where == "absolute" else where),
    )
    for home in (tmp_path, folder):
        (home / "weights.bin").write_bytes(WEIGHTS.tobytes())
    monkeypatch.chdir(folder)
    with pytest.raises(ModelError, match=r"net/net\.onnx cannot be opened"):
        load_classifier(folder)


def test_caliper_with_weights_outside_its_network_file_is_refused(tmp_path: Path) -> None:
    """Name a file with weights. onnxruntime would read it if it opened the network by its path."""
    folder = tmp_path / "caliper"
    CALIPER.make(folder)
    (folder / "finder.onnx").write_bytes(PLACES["weights"]("weights.bin"))
    (folder / "weights.bin").write_bytes(WEIGHTS.tobytes())
    update_hash(folder, "finder.onnx")
    with pytest.raises(ModelError, match="cannot be opened"):
        load(folder)


@pytest.mark.parametrize(
    ("domain", "operator"),
    [("own.code", "Run"), ("ai.onnx.contrib", "PyOp"), ("com.microsoft", "PythonOp")],
)
def test_network_with_operators_of_other_libraries_is_refused(
    tmp_path: Path, domain: str, operator: str
) -> None:
    node = helper.make_node(
        operator, ["means"], ["scores"], domain=domain, module="os", func_name="system"
    )
    with pytest.raises(ModelError, match="cannot be opened"):
        load_classifier(make_served(tmp_path / "net", model([node], domains=[domain])))


class Evil:
    """An object that creates a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


def test_pickle_with_the_name_of_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be opened"):
        load_classifier(make_served(tmp_path / "net", pickle.dumps(Evil(tmp_path / "trace"))))
    assert not (tmp_path / "trace").exists()


def endless() -> bytes:
    """Return a network with an infinite loop."""
    flag = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("on", "still")]
    value = [helper.make_tensor_value_info(name, FLOAT, None) for name in ("before", "after")]
    count = helper.make_tensor_value_info("count", TensorProto.INT64, [])
    nodes = [
        helper.make_node("Identity", ["on"], ["still"]),
        helper.make_node("Identity", ["before"], ["after"]),
    ]
    body = helper.make_graph(nodes, "body", [count, flag[0], value[0]], [flag[1], value[1]])
    return model([helper.make_node("Loop", ["", "yes", "means"], ["scores"], body=body)], [YES])


def test_network_that_never_finishes_is_stopped(tmp_path: Path) -> None:
    classifier = NetworkClassifier.load(make_served(tmp_path / "net", endless()), timeout_s=0.05)
    with pytest.raises(ModelError, match=r"net\.onnx did not finish within 0\.05 s"):
        classifier.warm()
    load_classifier(
        make_served(
            tmp_path / "good", model([MULTIPLY], [numpy_helper.from_array(WEIGHTS, "weights")])
        )
    ).warm()


def memory_hog(elements: int, computed: bool = True) -> bytes:
    """Return a network that allocates this many numbers of 4 bytes at once."""
    across = numpy_helper.from_array(np.array([elements, 1] if computed else [elements]), "across")
    first = (
        helper.make_node("Expand", ["one", "across"], ["much"])
        if computed
        else helper.make_node("ConstantOfShape", ["across"], ["much"])
    )
    one = numpy_helper.from_array(np.ones((1, 1), np.float32), "one")
    rest = [
        helper.make_node("ReduceSum", ["much"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["means", "sum"], ["scores"]),
    ]
    return model([first, *rest], [across, one])


WARM = """
import json, re, sys
from pathlib import Path
import keylike.readers.sessions
from keylike.readers.loading import load_classifier
from keylike.errors import ModelError
if len(sys.argv) > 2:
    keylike.readers.sessions.MAX_BYTES = 100_000_000
errors = []
for folder in sys.argv[1:]:
    try:
        load_classifier(Path(folder)).warm()
    except ModelError as error:
        errors.append(str(error))
# getrusage would include the memory of the parent process before exec.
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
print(json.dumps([errors, peak]))
"""


def warm_in_process(*folders: Path) -> tuple[list[str], int]:
    """Load and warm up classifiers in a process of their own.

    With several classifiers, the memory limit for all of them is 100 MB instead of MAX_BYTES.

    Returns:
        Error messages, and peak memory in bytes.
    """
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", WARM, *map(str, folders)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
    )
    errors, peak = json.loads(done.stdout)
    return errors, peak


@pytest.mark.parametrize("computed", [True, False])
def test_network_above_the_memory_limit_is_refused(tmp_path: Path, computed: bool) -> None:
    """Warm up a network that allocates twenty times the memory limit."""
    errors, peak = warm_in_process(
        make_served(tmp_path / "net", memory_hog(MAX_BYTES * 5, computed))
    )
    assert errors == ["net.onnx does not accept input of shape (1, 3, 6, 8), or returns no numbers"]
    assert peak < 1_000_000_000


def test_network_returns_its_memory_after_each_run(tmp_path: Path) -> None:
    """Warm up networks that together exceed the limit, which all of them share.

    It works only if each of them returns its memory.
    """
    folders = [
        make_served(tmp_path / f"net{number}", memory_hog(8_000_000 + 500_000 * number))
        for number in range(7)
    ]
    assert warm_in_process(*folders)[0] == []
    assert (
        len(warm_in_process(*folders, make_served(tmp_path / "larger", memory_hog(30_000_000)))[0])
        == 1
    )
