"""Tests that links, pipes, devices, names and manifests in a model folder cannot do harm.

A model folder must not make the server open other files than those in the manifest, and must not
block its start.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import keylike.readers.model_files
from keylike.errors import ModelError
from keylike.images.photo import open_photo
from keylike.readers.loading import load, load_classifier
from keylike.readers.model_files import parse_manifest, read_files, read_manifest, sha256
from tests.classifier_models import Net, make_classifier
from tests.models.folders import KINDS, Kind, change_manifest, update_hash
from tools.plain_pictures import RED, plain


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Return each kind of model."""
    found: Kind = request.param
    return found


@pytest.fixture
def folder(kind: Kind, tmp_path: Path) -> Path:
    """Return a valid model folder of this kind."""
    kind.make(tmp_path / "model")
    kind.open(tmp_path / "model")
    return tmp_path / "model"


def assert_refused(kind: Kind, folder: Path, message: str) -> None:
    """Check that opening fails with this message, and that the message contains no path."""
    with pytest.raises(ModelError, match=message) as error:
        kind.open(folder)
    assert str(folder.parent) not in str(error.value)


def link_out(folder: Path, name: str) -> None:
    """Move a file out of the folder and replace it with a link."""
    shutil.move(folder / name, folder.parent / "outside")
    (folder / name).symlink_to(folder.parent / "outside")


def test_link_to_a_file_outside_the_folder_is_refused(kind: Kind, folder: Path) -> None:
    link_out(folder, kind.file)
    assert_refused(kind, folder, f"model/{kind.file} is a link that leads out of the folder")


def test_chain_of_links_to_a_file_outside_the_folder_is_refused(kind: Kind, folder: Path) -> None:
    link_out(folder, kind.file)
    (folder / kind.file).rename(folder / "second")
    (folder / kind.file).symlink_to("second")
    assert_refused(kind, folder, "leads out of the folder")


def test_link_through_a_linked_folder_outside_is_refused(kind: Kind, folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    shutil.move(folder / kind.file, folder.parent / "elsewhere" / kind.file)
    (folder / "inside").symlink_to(folder.parent / "elsewhere", target_is_directory=True)
    (folder / kind.file).symlink_to(Path("inside") / kind.file)
    assert_refused(kind, folder, "leads out of the folder")


def test_manifest_that_is_a_link_to_outside_is_refused(kind: Kind, folder: Path) -> None:
    link_out(folder, "manifest.toml")
    assert_refused(kind, folder, r"model/manifest\.toml is a link that leads out of the folder")


def test_manifest_that_is_a_dangling_link_is_refused(kind: Kind, folder: Path) -> None:
    (folder / "manifest.toml").unlink()
    (folder / "manifest.toml").symlink_to("gone")
    assert_refused(kind, folder, r"model/manifest\.toml cannot be read")


def test_file_that_is_a_link_to_itself_is_refused(kind: Kind, folder: Path) -> None:
    (folder / kind.file).unlink()
    (folder / kind.file).symlink_to(kind.file)
    assert_refused(kind, folder, "is missing|cannot be read|leads out")


def test_links_of_a_kubernetes_volume_are_accepted(kind: Kind, folder: Path) -> None:
    real = folder / "..2026_11_21"
    real.mkdir()
    for path in [path for path in folder.iterdir() if path.is_file()]:
        path.rename(real / path.name)
        path.symlink_to(Path("..data") / path.name)
    (folder / "..data").symlink_to(real.name, target_is_directory=True)
    kind.open(folder)


def test_model_folder_that_is_a_link_is_accepted(kind: Kind, folder: Path) -> None:
    (folder.parent / "current").symlink_to(folder, target_is_directory=True)
    kind.open(folder.parent / "current")


@pytest.mark.parametrize("manifest", [False, True])
def test_pipe_in_a_model_folder_is_refused_without_blocking(
    kind: Kind, folder: Path, manifest: bool
) -> None:
    """Replace a file with a pipe. Opening a pipe for reading would wait for a writer forever."""
    name = "manifest.toml" if manifest else kind.file
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert_refused(kind, folder, f"model/{name} (is missing or )?cannot be read")


def test_device_instead_of_a_file_is_refused(tmp_path: Path) -> None:
    """Read /dev/zero, which never ends. A link to it in a folder would be refused earlier."""
    for read in (sha256, lambda path: read_files(path.parent, {"files": {path.name: "00"}})):
        with pytest.raises(ModelError, match="dev/zero is missing or cannot be read"):
            read(Path("/dev/zero"))


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "/etc/hostname",
        "..",
        ".",
        "",
        "more/net",
        "..\\outside",
        "C:\\net",
        "C:net",
        "a\0b",
        "a\nb",
        "a\x1b[2Jb",
        "a\x85b",
    ],
)
def test_listed_file_outside_the_folder_is_refused(kind: Kind, folder: Path, name: str) -> None:
    (folder.parent / "outside").write_bytes(b"")
    change_manifest(
        folder, lambda table: table["files"].update({name: hashlib.sha256(b"").hexdigest()})
    )
    assert_refused(kind, folder, "is not a plain file name of this folder")


def test_listed_file_name_in_another_case_is_refused(kind: Kind, folder: Path) -> None:
    if (folder / kind.file.upper()).exists():
        pytest.skip("the file system is case-insensitive")
    change_manifest(
        folder,
        lambda table: table["files"].update({kind.file.upper(): table["files"].pop(kind.file)}),
    )
    with pytest.raises(ModelError):
        kind.open(folder)


def test_network_that_the_manifest_does_not_list_is_refused(tmp_path: Path) -> None:
    caliper, classifier, _ = KINDS
    caliper.make(tmp_path / "model")
    change_manifest(tmp_path / "model", lambda table: table["files"].pop("finder.onnx"))
    assert_refused(caliper, tmp_path / "model", r"lists no finder\.onnx")
    classifier.make(tmp_path / "other")
    Net(ends="Softmax").write(tmp_path / "other" / "second.onnx")
    change_manifest(tmp_path / "other", lambda table: table["files"].pop("net.onnx"))
    change_manifest(tmp_path / "other", lambda table: table["files"].update({"notes.txt": "00"}))
    assert_refused(classifier, tmp_path / "other", "one ONNX file")


@pytest.mark.parametrize("value", [0, True, [], {"a": "b"}, "", "0" * 64, 1e9])
def test_invalid_hash_in_the_manifest_is_refused(kind: Kind, folder: Path, value: Any) -> None:
    change_manifest(folder, lambda table: table["files"].update({kind.file: value}))
    assert_refused(kind, folder, "does not match its SHA-256|files")


BOMBS = {
    "arrays in arrays": "a = " + "[" * 100_000,
    "tables in tables": "a = " + "{a=" * 100_000,
    "a name of many parts": "a" + ".a" * 400_000 + " = 1",
    "a table of many parts": "[a" + " . 'a'" * 100_000 + "]",
    "a long number": "a = " + "9" * 100_000,
    "a file above the size limit": "# " + "a" * 1_000_001,
    "invalid UTF-8": "\udcff",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_manifest_that_is_expensive_to_parse_is_refused(
    kind: Kind, folder: Path, bomb: str
) -> None:
    (folder / "manifest.toml").write_bytes(BOMBS[bomb].encode(errors="surrogateescape"))
    assert_refused(kind, folder, r"model/manifest\.toml is (not valid TOML|larger than)")


@pytest.mark.parametrize(
    "value",
    ["x" * 100_000, "\x1b[2J\n\x85", 16**5000, ["a"] * 1000],
    ids=["long", "control", "number", "list"],
)
def test_error_about_a_manifest_value_is_short_and_printable(tmp_path: Path, value: Any) -> None:
    (tmp_path / "model").mkdir()
    text = f"kind = 0x{value:x}" if isinstance(value, int) else None
    (tmp_path / "model" / "manifest.toml").write_text(text or "")
    if text is None:
        change_manifest(tmp_path / "model", lambda table: table.update({"kind": value}))
    with pytest.raises(ModelError, match="are not supported") as error:
        load(tmp_path / "model")
    assert len(str(error.value)) < 300 and str(error.value).isprintable()


BAD_VALUES: dict[str, Callable[[Any], object]] = {
    "not a number": lambda table: table["calibration"].update(temperature=float("nan")),
    "without end": lambda table: table["thresholds"].update(confidence=float("-inf")),
    "too large": lambda table: table["calibration"].update(weights=[10**400]),
    "no name": lambda table: table.pop("name"),
    "a name for headers": lambda table: table.update(name="caliper\r\nX-Admin: 1"),
    "a number as a version": lambda table: table.update(version=1),
    "keyways as text": lambda table: table.update(keyways="SC1"),
    "a keyway that it cannot measure": lambda table: table.update(keyways=["SC1", "WR5"]),
}


@pytest.mark.parametrize("fault", BAD_VALUES)
def test_caliper_with_an_invalid_manifest_value_is_refused(tmp_path: Path, fault: str) -> None:
    KINDS[0].make(tmp_path / "model")
    change_manifest(tmp_path / "model", BAD_VALUES[fault])
    assert_refused(KINDS[0], tmp_path / "model", "the caliper's manifest")


def test_loaded_classifier_has_the_bytes_that_were_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exchange a file after its hash was checked: the loaded model must have the checked bytes."""
    folder = make_classifier(tmp_path / "colours")
    compare = keylike.readers.model_files._compare

    def compare_and_exchange(path: Path, found: str, expected: object) -> None:
        compare(path, found, expected)
        Net(ends="Neg").write(path)

    monkeypatch.setattr(keylike.readers.model_files, "_compare", compare_and_exchange)
    classifier = load_classifier(folder)
    answer = classifier.classify(open_photo(plain(RED, "PNG")))
    assert getattr(answer, "predicted", None) == "red"
    with pytest.raises(ModelError, match="does not match its SHA-256"):
        load_classifier(folder)


def test_loading_a_caliper_reads_its_manifest_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Count the reads of the manifest.

    With two reads, the hashes and the calibration could come from two different manifests.
    """
    caliper = KINDS[0]
    caliper.make(tmp_path / "model")
    reads = []

    def parse(folder: Path, data: bytes) -> dict[str, Any]:
        reads.append(data)
        return parse_manifest(folder, data)

    monkeypatch.setattr("keylike.readers.caliper.reader.parse_manifest", parse)
    monkeypatch.setattr(
        "keylike.readers.caliper.reader.manifest_bytes",
        lambda folder: (folder / "manifest.toml").read_bytes(),
    )
    reader = load(tmp_path / "model")
    assert [hashlib.sha256(data).hexdigest() for data in reads] == [reader.info.digest]


def test_digest_differs_for_models_of_one_name_with_different_weights(tmp_path: Path) -> None:
    """Compare the digests of two models. They distinguish cached readings of the two."""
    digests = set()
    for name in ("one", "two"):
        KINDS[0].make(tmp_path / name / "caliper")
        if name == "two":
            weights = tmp_path / name / "caliper" / "finder.onnx"
            weights.write_bytes(weights.read_bytes() + b"\x12\x00")  # adds an empty field
            update_hash(weights.parent, "finder.onnx")
        digests.add(load(tmp_path / name / "caliper").info.digest)
    assert len(digests) == 2


def test_network_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "colours")
    with (folder / "net.onnx").open("r+b") as file:
        file.truncate(2**31)  # sparse: uses no disk space
    with pytest.raises(ModelError, match="too large"):
        load_classifier(folder)


def test_manifest_with_windows_line_endings_is_read_the_same(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "colours")
    original = read_manifest(folder)
    path = folder / "manifest.toml"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_manifest(folder) == original
