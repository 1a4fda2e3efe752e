"""ONNX files that reach out, compute for ever or ask for all memory: refused when they are opened, or stopped when they run."""

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
from keylike.readers.sessions import MOST_BYTES
from tests.classifier_models import Net, make_classifier
from tests.models.folders import KINDS, list_anew

CALIPER = KINDS[0]
FLOAT = TensorProto.FLOAT
WEIGHTS = np.full(3, 20, np.float32)
# onnxruntime's own name for weights that lie in memory, at the address that "offset" gives.
IN_MEMORY = "*/_ORT_MEM_ADDR_/*"


def tensor(where: str) -> Any:
    """Three weights that lie elsewhere."""
    return Net(weights_at=where)._weights()


def constant(value: Any) -> Any:
    return helper.make_node("Constant", [], ["weights"], value=value)


TIMES = helper.make_node("Mul", ["means", "weights"], ["scores"])
YES = numpy_helper.from_array(np.array(True), "yes")
NUMBER = [helper.make_opsetid("", 13)]


def model(nodes: Iterable[Any], weights: Iterable[Any] = (), **more: Any) -> bytes:
    """A network over the mean of each channel. `more`: of the graph its sparse weights, of the model functions and sets of operators."""
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
    made = helper.make_model(
        graph, opset_imports=imports, ir_version=8, functions=more.get("functions", [])
    )
    return bytes(made.SerializeToString())


def branch(nodes: Iterable[Any], weights: Iterable[Any] = ()) -> Any:
    out = helper.make_tensor_value_info("scores", FLOAT, None)
    return helper.make_graph([*nodes, TIMES], "branch", [], [out], list(weights))


def either(one: Any) -> Any:
    return helper.make_node("If", ["yes"], ["scores"], then_branch=one, else_branch=one)


def in_sparse(where: str) -> bytes:
    places = numpy_helper.from_array(np.arange(3), "places")
    return model([TIMES], sparse=[helper.make_sparse_tensor(tensor(where), places, [3])])


def in_function(where: str) -> bytes:
    inside = [constant(tensor(where)), helper.make_node("Mul", ["a", "weights"], ["b"])]
    function = helper.make_function("own", "Times", ["a"], ["b"], inside, NUMBER)
    return model(
        [helper.make_node("Times", ["means"], ["scores"], domain="own")],
        functions=[function],
        domains=["own"],
    )


PLACES: dict[str, Callable[[str], bytes]] = {
    "weights": lambda where: model([TIMES], [tensor(where)]),
    "attribute": lambda where: model([constant(tensor(where)), TIMES]),
    "weights of a branch": lambda where: model([either(branch([], [tensor(where)]))], [YES]),
    "attribute in a branch": lambda where: model(
        [either(branch([constant(tensor(where))]))], [YES]
    ),
    "sparse weights": in_sparse,
    "function": in_function,
}


def served(folder: Path, data: bytes) -> Path:
    """A classifier's folder with this network, whose hash is as it should be."""
    make_classifier(folder, Net())
    (folder / "net.onnx").write_bytes(data)
    list_anew(folder, "net.onnx")
    return folder


def test_the_same_networks_work_with_weights_of_their_own(tmp_path: Path) -> None:
    weights = numpy_helper.from_array(WEIGHTS, "weights")
    load_classifier(served(tmp_path / "plain", model([TIMES], [weights]))).warm()
    load_classifier(
        served(tmp_path / "branch", model([either(branch([constant(weights)]))], [YES]))
    ).warm()


@pytest.mark.parametrize(
    "where", ["weights.bin", "../weights.bin", "absolute", IN_MEMORY, "/_ORT_MEM_ADDR_/"]
)
@pytest.mark.parametrize("place", PLACES)
def test_weights_from_elsewhere(
    tmp_path: Path, place: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = served(
        tmp_path / "net",
        PLACES[place](str(tmp_path / "weights.bin") if where == "absolute" else where),
    )
    for home in (tmp_path, folder):
        (home / "weights.bin").write_bytes(WEIGHTS.tobytes())
    monkeypatch.chdir(folder)
    with pytest.raises(ModelError, match=r"net/net\.onnx cannot be opened"):
        load_classifier(folder)


def test_the_embedded_readers_networks_bring_all_their_weights_too(tmp_path: Path) -> None:
    """In the listed network, by a name in its own folder: the way that opening by path would follow."""
    folder = tmp_path / "caliper"
    CALIPER.make(folder)
    (folder / "finder.onnx").write_bytes(PLACES["weights"]("weights.bin"))
    (folder / "weights.bin").write_bytes(WEIGHTS.tobytes())
    list_anew(folder, "finder.onnx")
    with pytest.raises(ModelError, match="cannot be opened"):
        load(folder)


@pytest.mark.parametrize(
    ("domain", "operator"),
    [("own.code", "Run"), ("ai.onnx.contrib", "PyOp"), ("com.microsoft", "PythonOp")],
)
def test_operators_of_other_libraries(tmp_path: Path, domain: str, operator: str) -> None:
    node = helper.make_node(
        operator, ["means"], ["scores"], domain=domain, module="os", func_name="system"
    )
    with pytest.raises(ModelError, match="cannot be opened"):
        load_classifier(served(tmp_path / "net", model([node], domains=[domain])))


class Evil:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


def test_a_pickle_called_onnx(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be opened"):
        load_classifier(served(tmp_path / "net", pickle.dumps(Evil(tmp_path / "trace"))))
    assert not (tmp_path / "trace").exists()


def endless() -> bytes:
    """A loop whose condition stays true and that has no count."""
    flag = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("on", "still")]
    value = [helper.make_tensor_value_info(name, FLOAT, None) for name in ("before", "after")]
    count = helper.make_tensor_value_info("count", TensorProto.INT64, [])
    nodes = [
        helper.make_node("Identity", ["on"], ["still"]),
        helper.make_node("Identity", ["before"], ["after"]),
    ]
    body = helper.make_graph(nodes, "body", [count, flag[0], value[0]], [flag[1], value[1]])
    return model([helper.make_node("Loop", ["", "yes", "means"], ["scores"], body=body)], [YES])


def test_a_network_that_never_ends_is_stopped(tmp_path: Path) -> None:
    classifier = NetworkClassifier.load(served(tmp_path / "net", endless()), longest_s=0.05)
    with pytest.raises(ModelError, match=r"net\.onnx was not done after 0\.05 s"):
        classifier.warm()
    load_classifier(
        served(tmp_path / "good", model([TIMES], [numpy_helper.from_array(WEIGHTS, "weights")]))
    ).warm()


def much(elements: int, computed: bool = True) -> bytes:
    """A network that holds so many numbers at once."""
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
    keylike.readers.sessions.MOST_BYTES = 100_000_000
told = []
for folder in sys.argv[1:]:
    try:
        load_classifier(Path(folder)).warm()
    except ModelError as error:
        told.append(str(error))
# What getrusage says holds the memory of the process that started this one, too.
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
print(json.dumps([told, peak]))
"""


def warmed(*folders: Path) -> tuple[list[str], int]:
    """What was told of classifiers that were warmed in one process of their own, and the most memory that it took; of several, all of
    them together may take 100 MB."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", WARM, *map(str, folders)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
    )
    told, peak = json.loads(done.stdout)
    return told, peak


@pytest.mark.parametrize("computed", [True, False])
def test_a_network_that_asks_for_all_memory_fails_by_itself(tmp_path: Path, computed: bool) -> None:
    """Twenty times what is allowed; the process would be ended by the system for less."""
    told, peak = warmed(served(tmp_path / "net", much(MOST_BYTES * 5, computed)))
    assert told == ["net.onnx does not take (1, 3, 6, 8) numbers, or gives none"]
    assert peak < 1_000_000_000


def test_memory_of_one_run_is_there_for_the_next(tmp_path: Path) -> None:
    """The bound is for all networks together: what each took must come back."""
    folders = [
        served(tmp_path / f"net{number}", much(8_000_000 + 500_000 * number)) for number in range(7)
    ]
    assert warmed(*folders)[0] == []
    assert len(warmed(*folders, served(tmp_path / "larger", much(30_000_000)))[0]) == 1
