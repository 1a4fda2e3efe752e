"""Tests that classifiers are loaded once, on first use, and that only a few stay in memory."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from keylike.errors import BadRequest, ModelError, NotFound
from keylike.observability.logs import make_logger
from keylike.readers.classifiers.catalog import Classifiers
from keylike.readers.classifiers.contract import Classifier
from keylike.readers.loading import load_classifier
from tests.classifier_models import make_classifier
from tests.log_text import log_text

TIMEOUT_S = 20


class RecordingCatalog:
    """Catalogue of the classifiers a, b and c that records which of them are loaded."""

    def __init__(self, folder: Path, max_loaded: int = 2) -> None:
        self.folder = folder
        self.loaded = list[str]()
        for name in "abc":
            make_classifier(folder / "models" / name)
        log = make_logger(folder / "logs")
        self.classifiers = Classifiers(
            folder / "models",
            embedded=lambda: self.load(folder / "models" / "c"),
            load=self.load,
            log=log,
            max_loaded=max_loaded,
        )

    def load(self, folder: Path) -> Classifier:
        """Load a classifier and record it."""
        self.loaded.append(folder.name)
        return load_classifier(folder)

    def get(self, name: str | None) -> str:
        """Choose a classifier by its name, load it if necessary, and return its name."""
        return self.classifiers.choose(name)().info.name


@pytest.fixture
def catalog(tmp_path: Path) -> RecordingCatalog:
    return RecordingCatalog(tmp_path)


def test_classifier_is_loaded_once_on_its_first_use(catalog: RecordingCatalog) -> None:
    catalog.classifiers.choose("a")
    assert catalog.loaded == []
    assert [catalog.get("a"), catalog.get("a"), catalog.get("b"), catalog.get("a")] == [
        "a",
        "a",
        "b",
        "a",
    ]
    assert catalog.loaded == ["a", "b"]


def test_embedded_classifier_is_chosen_without_a_name(catalog: RecordingCatalog) -> None:
    assert [catalog.get(None), catalog.get(None)] == ["c", "c"]
    assert catalog.loaded == ["c"]


def test_least_recently_used_classifier_is_evicted(catalog: RecordingCatalog) -> None:
    for name in ("a", "b", "a", "c", "a", "b"):
        assert catalog.get(name) == name
    assert catalog.loaded == ["a", "b", "c", "b"]


def test_concurrent_requests_load_a_classifier_once(catalog: RecordingCatalog) -> None:
    barrier = threading.Barrier(6)

    def get(_: int) -> str:
        barrier.wait(TIMEOUT_S)
        return catalog.get("a")

    with ThreadPoolExecutor(6) as threads:
        assert [*threads.map(get, range(6))] == ["a"] * 6
    assert catalog.loaded == ["a"]


def test_loaded_classifier_is_available_while_another_one_is_loading(tmp_path: Path) -> None:
    make_classifier(tmp_path / "kept")
    make_classifier(tmp_path / "slow")
    started, resume = threading.Event(), threading.Event()

    def load(folder: Path) -> Classifier:
        if folder.name == "slow":
            started.set()
            assert resume.wait(TIMEOUT_S)
        return load_classifier(folder)

    classifiers = Classifiers(
        tmp_path,
        embedded=lambda: load(tmp_path / "kept"),
        load=load,
        log=make_logger(tmp_path / "logs"),
    )
    classifiers.choose("kept")()
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(classifiers.choose("slow"))
        assert started.wait(TIMEOUT_S)
        assert threads.submit(classifiers.choose("kept")).result(TIMEOUT_S).info.name == "kept"
        assert not slow.done()
        resume.set()
        assert slow.result(TIMEOUT_S).info.name == "slow"


def test_failed_load_of_a_classifier_is_logged_and_retried(
    catalog: RecordingCatalog, tmp_path: Path
) -> None:
    manifest = tmp_path / "models" / "a" / "manifest.toml"
    original = manifest.read_text()
    manifest.write_text(original.replace("logits", "scores"))
    with pytest.raises(ModelError):
        catalog.get("a")
    manifest.write_text(original)
    assert catalog.get("a") == "a"
    lines = [json.loads(line) for line in log_text(tmp_path / "logs").splitlines()]
    assert [(line["event"], line["model"]) for line in lines] == [("classifier_unusable", "a")]
    assert "gives" in lines[0]["reason"] and str(tmp_path) not in str(lines)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../models/a",
        "a/",
        "./a",
        "a/.",
        "a\n",
        "a\0",
        "/etc",
        ".hidden",
        "d",
        "a" * 65,
        "ä",
        "manifest.toml",
    ],
)
def test_classifier_with_an_invalid_name_is_not_found(
    catalog: RecordingCatalog, tmp_path: Path, name: str
) -> None:
    make_classifier(tmp_path / "models" / ".hidden")
    (tmp_path / "models" / "manifest.toml").write_text("")
    with pytest.raises(NotFound) as refused:
        catalog.get(name)
    assert not catalog.loaded and "/" not in refused.value.message


def test_folder_that_is_not_a_classifier_is_refused(
    catalog: RecordingCatalog, tmp_path: Path
) -> None:
    make_classifier(tmp_path / "models" / "reader", kind="caliper")
    (tmp_path / "models" / "empty").mkdir()
    for name in ("reader", "empty"):
        with pytest.raises(BadRequest):
            catalog.get(name)
    assert not catalog.loaded
