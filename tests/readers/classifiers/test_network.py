"""Tests of ONNX classifiers: their results, and the refusal of invalid folders."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from keylike.errors import ModelError
from keylike.images.photo import open_photo
from keylike.readers.classifiers.contract import Classification, Classifier
from keylike.readers.loading import load_classifier
from tests.classifier_models import LABELS, PREPROCESSING, Net, make_classifier
from tools.plain_pictures import BLUE, GREEN, RED, plain

COLOURS = {"red": RED, "green": GREEN, "blue": BLUE}


def classify(classifier: Classifier, colour: tuple[int, int, int]) -> Classification:
    """Classify a photo of one colour. It is a PNG, so the colour is exact."""
    answer = classifier.classify(open_photo(plain(colour, "PNG")))
    assert isinstance(answer, Classification)
    return answer


@pytest.mark.parametrize("colour", LABELS)
@pytest.mark.parametrize(
    ("net", "preprocessing_changes", "changes"),
    [
        (Net(), {}, {}),
        (Net(layout="NHWC"), {"layout": "NHWC"}, {}),
        (Net(fixed=False), {"resize": "letterbox"}, {}),
        (Net(), {"resize": "centre-crop", "mean": [0.4, 0.4, 0.4], "std": [0.2, 0.2, 0.2]}, {}),
        (Net(), {"channels": "BGR"}, {"labels": ["blue", "green", "red"]}),
        (Net(ends="Softmax"), {}, {"gives": "probabilities"}),
        (Net(outputs=("features", "scores")), {}, {"input": "photo", "output": "scores"}),
    ],
    ids=["plain", "NHWC", "open size", "crop", "BGR", "probabilities", "named"],
)
def test_network_distinguishes_colours_with_every_kind_of_input(
    tmp_path: Path,
    net: Net,
    preprocessing_changes: dict[str, Any],
    changes: dict[str, Any],
    colour: str,
) -> None:
    classifier = load_classifier(
        make_classifier(
            tmp_path / "colours", net, preprocessing_changes=preprocessing_changes, **changes
        )
    )
    classifier.warm()
    assert classify(classifier, COLOURS[colour]).predicted == colour


def test_probabilities_are_the_softmax_of_logits(tmp_path: Path) -> None:
    means = np.array(RED) / 255 * 20
    expected = np.exp(means) / np.exp(means).sum()
    as_logits = load_classifier(make_classifier(tmp_path / "logits"))
    as_shares = load_classifier(
        make_classifier(tmp_path / "shares", Net(ends="Softmax"), gives="probabilities")
    )
    for classifier in (as_logits, as_shares):
        assert [*classify(classifier, RED).probabilities.values()] == pytest.approx(
            expected, rel=1e-4
        )


MANIFESTS: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": None}, "name"),
    "a path as a name": ({"name": "../colours"}, "name"),
    "no version": ({"version": None}, "version"),
    "other kind": ({"kind": "caliper"}, "kind"),
    "no licence": ({"licence": None}, "licence"),
    "no files": ({"files": None}, "files"),
    "files as text": ({"files": "net.onnx"}, "files"),
    "no ONNX file": ({"files": {"net.pt": "00"}}, "one ONNX file"),
    "two ONNX files": ({"files": {"net.onnx": "00", "other.onnx": "00"}}, "one ONNX file"),
    "file elsewhere": ({"files": {"../net.onnx": "00"}}, "not a plain file name"),
    "file below": ({"files": {"more/net.onnx": "00"}}, "not a plain file name"),
    "missing file": ({"files": {"gone.onnx": "00"}}, "missing"),
    "other hash": ({"files": {"net.onnx": "0" * 64}}, "does not match its SHA-256"),
    "no labels": ({"labels": None}, "labels"),
    "one label": ({"labels": ["key"]}, "labels"),
    "labels as text": ({"labels": "red"}, "labels"),
    "empty label": ({"labels": ["red", ""]}, "labels"),
    "label twice": ({"labels": ["red", "red", "blue"]}, "occurs twice"),
    "numbers as labels": ({"labels": [1, 2, 3]}, "labels"),
    "no word on what it gives": ({"gives": None}, "gives"),
    "unknown output kind": ({"gives": "scores"}, "gives"),
    "no preprocessing": ({"preprocessing": None}, "preprocessing"),
    "unknown input": ({"input": "image"}, "input must name one of photo"),
    "unknown output": ({"output": "logits"}, "output must name one of scores"),
}
PREPROCESSINGS: list[dict[str, Any]] = [
    {"width": 0},
    {"height": 100_000},
    {"resize": "tile"},
    {"channels": "RGBA"},
    {"layout": "CHW"},
    {"mean": [0.5]},
    {"std": [1.0, 1.0, 0.0]},
    {"std": [1.0, float("inf"), 1.0]},
    {"mean": [float("nan"), 0.0, 0.0]},
    {"scale": 0.0},
    {"crop_share": 1.5},
    {"fill": 256},
    {"colour": "RGB"},
]


@pytest.mark.parametrize("fault", MANIFESTS)
def test_invalid_manifest_of_a_classifier_is_refused(tmp_path: Path, fault: str) -> None:
    changes, message = MANIFESTS[fault]
    folder = make_classifier(tmp_path / "colours", **changes)
    with pytest.raises(ModelError, match=message) as refused:
        load_classifier(folder)
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize("fault", PREPROCESSINGS, ids=str)
def test_invalid_preprocessing_in_a_manifest_is_refused(
    tmp_path: Path, fault: dict[str, Any]
) -> None:
    with pytest.raises(ModelError, match=rf"preprocessing\.{next(iter(fault))}"):
        load_classifier(make_classifier(tmp_path / "colours", preprocessing_changes=fault))


@pytest.mark.parametrize("missing", PREPROCESSING)
def test_missing_preprocessing_entry_in_a_manifest_is_refused(tmp_path: Path, missing: str) -> None:
    rest = {name: value for name, value in PREPROCESSING.items() if name != missing}
    folder = make_classifier(tmp_path / "colours")
    text = (folder / "manifest.toml").read_text().partition("[preprocessing]")[0]
    (folder / "manifest.toml").write_text(
        text
        + "[preprocessing]\n"
        + "".join(f"{name} = {value!r}\n" for name, value in rest.items())
    )
    with pytest.raises(ModelError, match=rf"preprocessing\.{missing}"):
        load_classifier(folder)


def test_altered_network_file_is_refused(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "colours")
    Net(ends="Softmax").write(folder / "net.onnx")
    with pytest.raises(ModelError, match="does not match its SHA-256"):
        load_classifier(folder)


@pytest.mark.parametrize("name", ["net.onnx", "manifest.toml"])
def test_link_out_of_the_classifier_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = make_classifier(tmp_path / "colours")
    (folder / name).rename(tmp_path / name)
    (folder / name).symlink_to(tmp_path / name)
    with pytest.raises(ModelError, match=f"colours/{name} is a link that leads out of the folder"):
        load_classifier(folder)


def test_link_inside_the_classifier_folder_is_accepted(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "colours")
    (folder / "net.onnx").rename(folder / "real")
    (folder / "net.onnx").symlink_to(folder / "real")
    load_classifier(folder).warm()


@pytest.mark.parametrize(
    "where",
    ["weights.bin", "../weights.bin", "inside/weights.bin", "link.bin", "absolute", "net.onnx"],
)
def test_weights_outside_the_network_file_are_refused(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put weights outside the network file, where no hash in the manifest protects them."""
    weights = np.full(3, 20, np.float32).tobytes()
    folder = make_classifier(
        tmp_path / "colours",
        Net(weights_at=str(tmp_path / "weights.bin") if where == "absolute" else where),
    )
    (folder / "inside").mkdir()
    for path in (
        tmp_path / "weights.bin",
        folder / "weights.bin",
        folder / "inside" / "weights.bin",
    ):
        path.write_bytes(weights)
    (folder / "link.bin").symlink_to(tmp_path / "weights.bin")
    monkeypatch.chdir(folder)
    message = (
        r"colours/net\.onnx cannot be opened: it must be one ONNX file that holds all its weights"
    )
    with pytest.raises(ModelError, match=message):
        load_classifier(folder)


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x04pickle", b"version https://git-lfs.github.com/spec/v1\n"]
)
def test_file_that_is_not_onnx_is_refused(tmp_path: Path, data: bytes) -> None:
    folder = make_classifier(
        tmp_path / "colours", files={"net.onnx": hashlib.sha256(data).hexdigest()}
    )
    (folder / "net.onnx").write_bytes(data)
    with pytest.raises(ModelError, match="cannot be opened"):
        load_classifier(folder)


@pytest.mark.parametrize(
    ("net", "preprocessing_changes", "changes", "message"),
    [
        (Net(), {}, {"labels": ["red", "green"]}, "returns 3 numbers for 2 labels"),
        (Net(), {}, {"labels": [*LABELS, "black"]}, "returns 3 numbers for 4 labels"),
        (Net(), {"width": 9}, {}, "does not accept"),
        (Net(layout="NHWC"), {}, {}, "does not accept"),
        (Net(), {}, {"gives": "probabilities"}, "is not probabilities"),
        (Net(ends="Sigmoid"), {}, {"gives": "probabilities"}, "is not probabilities"),
        (Net(ends="Log"), {"mean": [1.0, 1.0, 1.0]}, {}, "is not logits"),
    ],
    ids=[
        "too few labels",
        "too many",
        "other size",
        "other layout",
        "logits called probabilities",
        "classes that do not exclude",
        "NaN",
    ],
)
def test_network_that_contradicts_its_manifest_is_refused(
    tmp_path: Path,
    net: Net,
    preprocessing_changes: dict[str, Any],
    changes: dict[str, Any],
    message: str,
) -> None:
    classifier = load_classifier(
        make_classifier(
            tmp_path / "colours", net, preprocessing_changes=preprocessing_changes, **changes
        )
    )
    with pytest.raises(ModelError, match=message):
        classifier.warm()


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Net(type=TensorProto.UINT8), r"takes tensor\(uint8\)"),
        (Net(outputs=("features", "scores")), "output must name one of features, scores"),
    ],
)
def test_network_with_unsupported_input_or_outputs_is_refused(
    tmp_path: Path, net: Net, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        load_classifier(make_classifier(tmp_path / "colours", net))
