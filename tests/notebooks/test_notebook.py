"""The notebook, executed: with a tunnel by the stand-in, without one, with a kernel that dies; and what is kept of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pytest
from numpy.typing import NDArray

from keylike.tunnel.session import is_alive
from tests.notebooks.running import BITTING, ROOT, SAMPLE, notebook, opened, picture, read
from tests.running import until
from tests.tunnel.standin import NGROK_TOKEN, StandIn

SAYS = f"{SAMPLE['keyway']} (Schlage), bitting {BITTING} bow to tip"
CUT = (255, 196, 0)  # the colour in which cuts are drawn


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[StandIn]:
    """ngrok's agent; none of it is left."""
    installed = StandIn(tmp_path / "ngrok")
    yield installed
    until(installed.gone)


def with_ngrok(standin: StandIn, token: str = NGROK_TOKEN) -> dict[str, str]:
    """The environment of a machine that has the program and, perhaps, a token."""
    return {"PATH": f"{standin.bin}:{os.environ['PATH']}", "NGROK_TOKEN": token}


def marked(seen: NDArray[np.uint8]) -> int:
    """How many pixels have the colour of cuts."""
    return int((np.abs(seen.astype(int) - CUT).max(axis=2) < 60).sum())


def test_what_is_committed_shows_nothing_and_has_colab_save_nothing() -> None:
    kept = opened()
    nbformat.validate(kept)
    assert [
        cell.id for cell in kept.cells if cell.get("outputs") or cell.get("execution_count")
    ] == []
    assert kept.metadata.colab.private_outputs is True
    codes = [at for at, cell in enumerate(kept.cells) if cell.cell_type == "code"]
    assert len(codes) > 4 and all(kept.cells[at - 1].cell_type == "markdown" for at in codes), (
        "a sentence before each step"
    )


def get(repository: str) -> Path:
    """Where the first step finds Keylike, or puts it."""
    source = next(cell.source for cell in opened().cells if cell.id == "get")
    names: dict[str, object] = {}
    exec(source.replace('REPOSITORY = ""', f"REPOSITORY = {repository!r}"), names)
    assert isinstance(names["HOME"], Path)
    return names["HOME"]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_notebook_that_lies_alone_fetches_keylike_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    origin, manifest = tmp_path / "origin", Path("models/caliper/manifest.toml")
    (origin / manifest).parent.mkdir(parents=True)
    (origin / manifest).touch()
    somebody = [
        "-c",
        "user.name=Somebody",
        "-c",
        "user.email=somebody@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    for words in (
        ["init", "--quiet"],
        ["add", "."],
        [*somebody, "commit", "--quiet", "-m", "All of it"],
    ):
        subprocess.run(["git", *words], cwd=origin, check=True)
    alone = tmp_path / "alone"
    alone.mkdir()
    monkeypatch.chdir(alone)
    with pytest.raises(ValueError, match="Fill in REPOSITORY"):
        get("")
    assert (
        get(origin.as_uri()) == get("") == alone / "keylike"
        and (alone / "keylike" / manifest).is_file()
    )
    assert sys.path[-2:] == [str(alone / "keylike"), str(alone / "keylike" / "clients" / "python")]


def test_through_a_tunnel_from_the_first_cell_to_the_last(tmp_path: Path, standin: StandIn) -> None:
    sample = picture((ROOT / "samples" / SAMPLE["file"]).read_bytes())
    with notebook(tmp_path, **with_ngrok(standin)) as book:
        book.run("get", "install", "serve", "phone")
        code = book.picture("phone")
        assert code is not None
        link = cv2.QRCodeDetector().detectAndDecode(code)[0]
        address, _, token = link.partition("/#token=")
        assert token.startswith("kl_") and link in book.saved(), (
            "the link is there to be clicked, too"
        )
        assert (read(address, token), read(address, None)) == (BITTING, "unauthorized")
        assert SAYS in book.run("read")
        drawn = book.picture("read")
        assert drawn is not None and drawn.shape == sample.shape
        assert marked(drawn) > 300 > 0 == marked(sample)
        assert token not in book.saved("phone") and NGROK_TOKEN not in book.saved()
        book.run("stop")
        assert book.picture("phone") is None and "The link has ended" in book.saved()
        assert token not in book.saved() and NGROK_TOKEN not in book.saved()
        assert not is_alive(book.address()) and not is_alive(address) and standin.gone(), (
            "though the kernel still runs"
        )


def test_without_a_token_of_ngroks_it_reads_all_the_same(tmp_path: Path, standin: StandIn) -> None:
    with notebook(tmp_path, **with_ngrok(standin, token="")) as book:
        said = book.run()
        assert (
            "No ngrok token: the server runs for this notebook alone" in said
            and "There is no tunnel" in said
        )
        assert SAYS in said and book.picture("read") is not None and book.picture("phone") is None
        assert not is_alive(book.address()) and standin.seen("pid") == []


def test_nothing_outlives_a_kernel_that_is_killed(tmp_path: Path, standin: StandIn) -> None:
    with notebook(tmp_path, **with_ngrok(standin)) as book:
        book.run("get", "install", "serve")
        assert is_alive(book.address()) and not standin.gone()
        os.kill(book.kernel(), signal.SIGKILL)
        until(lambda: not is_alive(book.address()))
        until(standin.gone)
