"""The classifiers by name: loaded when first asked, once, and no more of them kept than are allowed."""

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

PATIENCE_S = 20


class Shelf:
    """Classifiers a, b and c in a folder, and a note of what was loaded."""

    def __init__(self, home: Path, most: int = 2) -> None:
        self.home, self.loaded = home, list[str]()
        for name in "abc":
            make_classifier(home / "models" / name)
        log = make_logger(home / "logs")
        self.classifiers = Classifiers(
            home / "models",
            embedded=lambda: self.load(home / "models" / "c"),
            load=self.load,
            log=log,
            most=most,
        )

    def load(self, folder: Path) -> Classifier:
        """As the application does."""
        self.loaded.append(folder.name)
        return load_classifier(folder)

    def get(self, name: str | None) -> str:
        """The name of the classifier that was found."""
        return self.classifiers.choose(name)().info.name


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_nothing_is_loaded_before_it_is_asked_for_and_then_once(shelf: Shelf) -> None:
    shelf.classifiers.choose("a")
    assert shelf.loaded == []
    assert [shelf.get("a"), shelf.get("a"), shelf.get("b"), shelf.get("a")] == ["a", "a", "b", "a"]
    assert shelf.loaded == ["a", "b"]


def test_without_a_name_the_embedded_one(shelf: Shelf) -> None:
    assert [shelf.get(None), shelf.get(None)] == ["c", "c"]
    assert shelf.loaded == ["c"]


def test_the_least_used_is_let_go(shelf: Shelf) -> None:
    for name in ("a", "b", "a", "c", "a", "b"):
        assert shelf.get(name) == name
    assert shelf.loaded == ["a", "b", "c", "b"]


def test_many_at_a_time_load_it_once(shelf: Shelf) -> None:
    together = threading.Barrier(6)

    def get(_: int) -> str:
        together.wait(PATIENCE_S)
        return shelf.get("a")

    with ThreadPoolExecutor(6) as threads:
        assert [*threads.map(get, range(6))] == ["a"] * 6
    assert shelf.loaded == ["a"]


def test_who_asks_for_a_kept_one_does_not_wait_for_another_that_is_loaded(tmp_path: Path) -> None:
    make_classifier(tmp_path / "kept")
    make_classifier(tmp_path / "slow")
    begun, go_on = threading.Event(), threading.Event()

    def load(folder: Path) -> Classifier:
        if folder.name == "slow":
            begun.set()
            assert go_on.wait(PATIENCE_S)
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
        assert begun.wait(PATIENCE_S)
        assert threads.submit(classifiers.choose("kept")).result(PATIENCE_S).info.name == "kept"
        assert not slow.done()
        go_on.set()
        assert slow.result(PATIENCE_S).info.name == "slow"


def test_one_that_failed_is_tried_again_and_the_log_says_why(shelf: Shelf, tmp_path: Path) -> None:
    manifest = tmp_path / "models" / "a" / "manifest.toml"
    good = manifest.read_text()
    manifest.write_text(good.replace("logits", "scores"))
    with pytest.raises(ModelError):
        shelf.get("a")
    manifest.write_text(good)
    assert shelf.get("a") == "a"
    lines = [json.loads(line) for line in (tmp_path / "logs" / "api.log").read_text().splitlines()]
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
def test_no_other_name_leads_anywhere(shelf: Shelf, tmp_path: Path, name: str) -> None:
    make_classifier(tmp_path / "models" / ".hidden")
    (tmp_path / "models" / "manifest.toml").write_text("")
    with pytest.raises(NotFound) as refused:
        shelf.get(name)
    assert not shelf.loaded and "/" not in refused.value.message


def test_a_folder_that_holds_something_else(shelf: Shelf, tmp_path: Path) -> None:
    make_classifier(tmp_path / "models" / "reader", kind="caliper")
    (tmp_path / "models" / "empty").mkdir()
    for name in ("reader", "empty"):
        with pytest.raises(BadRequest):
            shelf.get(name)
    assert not shelf.loaded
